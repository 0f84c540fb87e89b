"""A key is in no output: a gateway's log at debug level, its metrics, its traces, and every answer are searched."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from gateway.access.keys import hash_of, new_key
from gateway.command_line.health import wait_until_serving
from gateway.command_line.local import GATEWAY
from shared.rpc.channel import open_channel
from tests.gateway.access.given_keys import bearer, entry, key_of, write_keys
from tests.ports import free_platform

HAS_TRACING = bool(importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.exporter"))
HAS_PLAYGROUND = all(importlib.util.find_spec(name) for name in ("connectrpc", "uvicorn"))
START_SECONDS = 60.0
END_SECONDS = 60.0
RELOADED_SECONDS = 30.0


@contextmanager
def gateway_process(settings: Mapping[str, object], log: Path) -> Iterator[None]:
    """A gateway in a process of its own, all of whose output goes to a file."""
    environment = {f"DIPTYCH_{name}": str(value) for name, value in settings.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env={**inherited, **environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        finally:
            process.kill()


def get(url: str, **headers: str) -> str:
    """What comes back, whatever the status."""
    request = urllib.request.Request(url, headers=headers, data=b"{}" if headers else None)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.headers}{error.read().decode()}"


async def answers(address: str, secrets: list[str]) -> list[str]:
    """All that gRPC callers with these keys get to see, of calls that end well and badly."""
    told = []
    async with open_channel(address, max_message_bytes=1 << 20) as channel:
        stub: Any = gateway_pb2_grpc.GatewayServiceStub(channel)
        for secret in secrets:
            shown = (bearer(secret), bearer(f"{secret} {secret}"), (("authorization", secret),))
            for entries in (*shown, (("diptych-priority", "batch"), *bearer(secret))):
                for method, request in (
                    (stub.GetCapabilities, gateway_pb2.GetCapabilitiesRequest()),
                    (stub.TextToImage, gateway_pb2.TextToImageRequest(prompt="a cat")),
                    (stub.EncodeText, gateway_pb2.EncodeTextRequest(texts=[""])),
                ):
                    call = method(request, metadata=entries, timeout=20)
                    try:
                        told.append(str(await call))
                    except grpc.aio.AioRpcError as error:
                        told.append(repr(error))
                    told.append(str(await call.trailing_metadata()))
    return told


class Traces(Protocol):
    """What of a receiver of traces is used here; the package is optional."""

    raw: list[bytes]

    @property
    def endpoint(self) -> str:
        """Where it listens."""


@pytest.fixture
def traces() -> Iterator[Traces | None]:
    """Where spans go; None where they cannot be made."""
    if not HAS_TRACING:
        yield None
        return
    from tests.otlp_receiver import receiving

    with receiving() as receiver:
        yield receiver


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_keys_are_in_no_log_metric_trace_or_answer(
    tmp_path: Path, log_format: str, traces: Traces | None
) -> None:
    file = tmp_path / "keys.toml"
    good, key = key_of("shop", scopes=["generate"], calls_per_second=5.0)
    expired, ended = key_of("old", expires=datetime(2020, 1, 1, tzinfo=UTC))
    unknown, misplaced = new_key(), new_key()
    write_keys(file, key, ended)
    ports = free_platform(web=True)[1][GATEWAY]
    log = tmp_path / "log"
    settings = {
        "PORT": ports.grpc,
        "METRICS_PORT": ports.metrics,
        "KEYS_FILE": file,
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": log_format,
        "REPLICA_WAIT_SECONDS": 0,
        **({"WEB_PORT": ports.web} if HAS_PLAYGROUND else {}),
        **({"TRACES_ENDPOINT": traces.endpoint} if traces is not None else {}),
    }
    with gateway_process(settings, log):
        address = f"127.0.0.1:{ports.grpc}"
        async with asyncio.timeout(START_SECONDS):
            await wait_until_serving(address)
        secrets = [good, expired, unknown]
        told = await answers(address, secrets)
        assert "KEY_EXPIRED" in "".join(told) and "SCOPE_MISSING" in "".join(told)
        if HAS_PLAYGROUND:
            url = f"http://127.0.0.1:{ports.web}/diptych.gateway.v1.GatewayService/GetCapabilities"
            for secret in secrets:
                headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
                told.append(await asyncio.to_thread(get, url, **headers))
        # Somebody puts a key where its hash belongs, and a file is broken around one.
        for broken in (
            f'[[keys]]\nname = "x"\nsha256 = "{misplaced}"\n',
            f"{misplaced} = [",
            entry(key) + misplaced,
        ):
            lines = log.read_bytes().count(b"the keys read before stay in use")
            file.write_text(broken)
            async with asyncio.timeout(RELOADED_SECONDS):
                while log.read_bytes().count(b"the keys read before stay in use") == lines:
                    await asyncio.sleep(0.1)
        metrics = await asyncio.to_thread(get, f"http://127.0.0.1:{ports.metrics}/metrics")
        assert "diptych_keys_outdated 1.0" in metrics
        told.append(metrics)
    if traces is not None:  # those of the last calls came when the process ended
        assert traces.raw
        told += [each.decode("latin-1") for each in traces.raw]
    everything = "".join(told) + log.read_text()
    assert "keys read before stay in use" in everything
    for secret in (*secrets, misplaced):
        assert secret not in everything
        assert secret.removeprefix("diptych_") not in everything
        assert hash_of(secret) not in everything
