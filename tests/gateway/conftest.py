"""Fixtures: a shared gateway over fakes in this process, and one in another process for the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
import pytest_asyncio

from gateway.settings import SERVICES
from tests.certificates import Authority
from tests.gateway.fake_gateway import Running, running_gateway
from tests.gateway.fake_platform import Platform, running_platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_platform() -> AsyncIterator[Platform]:
    """One platform for all tests that leave it as it was."""
    async with running_platform() as running:
        yield running


@pytest.fixture
def platform(shared_platform: Platform) -> Platform:
    """The shared platform with fakes that have seen nothing yet."""
    for service in SERVICES:
        for fake in getattr(shared_platform, service):
            fake.behaviour.reset()
    return shared_platform


@pytest.fixture
def fake_gateway() -> Iterator[Running]:
    """A gateway with nothing behind it that has seen nothing yet, for clients."""
    with running_gateway() as running:
        yield running


@pytest.fixture
def tls_gateway(authority: Authority) -> Iterator[Running]:
    """The same, that asks for certificates."""
    leaf = authority.leaf()
    pair = (leaf.key.read_bytes(), leaf.certificate.read_bytes())
    credentials = grpc.ssl_server_credentials([pair], authority.path.read_bytes(), require_client_auth=True)
    with running_gateway(credentials=credentials) as running:
        yield running


@pytest.fixture(scope="session")
def gateway_address() -> Iterator[str]:
    """The address of a gateway over fakes in a process of its own."""
    command = [sys.executable, "-m", "tests.gateway.fake_platform"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
