"""The probe of a container, against real health servers."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shared.rpc.probe import not_serving_reason
from tests.test_architecture import REPOSITORY

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def health_server(**states: int) -> Iterator[int]:
    """The port of a server with nothing but health; `ready` stands for the service ""."""
    servicer = health.HealthServicer()
    for service, state in states.items():
        servicer.set("" if service == "ready" else service, state)
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def probe(port: int | str | None, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program, run as in a container."""
    told = {} if port is None else {"DIPTYCH_HEALTH_PORT": str(port)}
    return subprocess.run(
        [sys.executable, "-m", "shared.rpc.probe", *arguments],
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'protos'}", **told, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_server_that_serves_is_exit_code_0_and_silence() -> None:
    with health_server(ready=SERVING) as port:
        result = probe(port)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_server_that_does_not_serve_yet_is_exit_code_1_with_its_state() -> None:
    with health_server(ready=NOT_SERVING) as port:
        result = probe(port)
    assert result.returncode == 1
    assert result.stderr == f"error: 127.0.0.1:{port}: NOT_SERVING\n"


def test_named_service_is_asked_for_apart() -> None:
    with health_server(ready=NOT_SERVING, live=SERVING) as port:
        assert not_serving_reason(port) == "NOT_SERVING"
        assert not_serving_reason(port, "live") is None
        assert probe(port, "live").returncode == 0


def test_service_that_the_server_does_not_know_is_not_serving() -> None:
    with health_server(ready=SERVING) as port:
        assert not_serving_reason(port, "nobody")


def test_port_where_nobody_listens_is_exit_code_1_with_a_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        result = probe(taken.getsockname()[1])
    assert result.returncode == 1
    assert "connection refused" in result.stderr


def test_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert not_serving_reason(silent.getsockname()[1], seconds=0.2)


def test_proxies_of_the_environment_are_not_asked() -> None:
    with health_server(ready=SERVING) as port:
        result = probe(
            port, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9", grpc_proxy="http://127.0.0.1:9"
        )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("port", [None, "", "much", "0", "70000"])
def test_port_that_is_none_is_exit_code_1_and_names_the_variable(port: str | None) -> None:
    result = probe(port)
    assert result.returncode == 1
    assert result.stderr.startswith("error: DIPTYCH_HEALTH_PORT is ")


def test_more_than_one_service_is_a_wrong_use() -> None:
    result = probe(1, "live", "ready")
    assert result.returncode == 1
    assert result.stderr.startswith("error: usage: ")
