"""`diptych status` and `diptych capabilities`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.command_line.console import ExitCode
from gateway.command_line.status import server_statuses
from tests.gateway.command_line.command import diptych
from tests.gateway.fake_gateway import Running
from tests.gateway.fake_services import FakeReplica
from tests.ports import free_port


def test_status_has_a_row_a_replica_with_its_model_and_queue(fake_gateway: Running) -> None:
    result = diptych("status", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.OK
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["gateway", fake_gateway.address, "serving", "0.2.0"] in lines
    row = ["text", "10.0.0.0:9000", "serving", "fake-text", "1", "a" * 12, "space-a", "0.25", "s,", "0", "under", "way"]
    assert row in lines
    assert ["captioning", "10.0.1.3:9000", "connection", "refused"] in lines


def test_service_without_a_serving_replica_is_told_by_the_exit_code(fake_gateway: Running) -> None:
    fake_gateway.behaviour.serving = False
    result = diptych("status", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "draining" in result.stdout
    assert "down: text, classification, generation, captioning" in result.stdout


async def test_servers_that_are_named_are_asked_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with FakeReplica("text") as replica:
        assert await server_statuses([replica.address], as_json=False, timeout_seconds=10.0) is ExitCode.OK
        told = capsys.readouterr().out
        assert "serving" in told and "f" * 12 in told and "space-a" in told
        assert (
            await server_statuses([replica.address, nowhere], as_json=False, timeout_seconds=10.0)
            is ExitCode.UNAVAILABLE
        )
        assert "connection refused" in capsys.readouterr().out


def test_status_as_json_has_every_replica_and_what_is_down(fake_gateway: Running) -> None:
    result = diptych("status", "--json", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.OK
    told = json.loads(result.stdout)
    assert told["gateway"] == {"address": fake_gateway.address, "version": "0.2.0"}
    assert [each["name"] for each in told["services"]] == ["text", "classification", "generation", "captioning"]
    assert [each["serving"] for each in told["services"][0]["replicas"]] == [True, False]
    assert (told["spaces"], told["down"]) == (["space-a"], [])
    fake_gateway.behaviour.serving = False
    result = diptych("status", "--json", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert len(json.loads(result.stdout)["down"]) == 4


def test_named_servers_as_json(fake_gateway: Running) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    result = diptych("status", nowhere, "--json")
    assert result.exit_code == ExitCode.UNAVAILABLE
    [told] = json.loads(result.stdout)
    assert (told["address"], told["serving"], told["reason"]) == (nowhere, False, "connection refused")


class _Late(health_pb2_grpc.HealthServicer):
    """Serves, and says so after longer than a server is usually given."""

    def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        time.sleep(2.5)
        yield health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize(("timeout", "code"), [(30, ExitCode.OK), (0.2, ExitCode.UNAVAILABLE)])
def test_named_server_is_waited_for_as_long_as_the_option_says(timeout: float, code: ExitCode) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(_Late(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert diptych("status", f"127.0.0.1:{port}", "--timeout", timeout).exit_code == code
    server.stop(grace=None).wait()


@pytest.mark.parametrize("timeout", ["inf", "nan", "1e12", "86401"])
@pytest.mark.parametrize("command", [("encode", "cat"), ("status", "127.0.0.1:1"), ("status",)])
def test_timeout_without_end_is_wrong_usage(command: tuple[str, ...], timeout: str) -> None:
    result = diptych(*command, "--timeout", timeout)
    assert result.exit_code == ExitCode.USAGE
    assert "86400" in result.stderr


def test_named_server_that_is_down_has_its_exit_code() -> None:
    result = diptych("status", f"127.0.0.1:{free_port()}")
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "connection refused" in result.stdout


def test_capabilities_tell_limits_and_models(fake_gateway: Running) -> None:
    result = diptych("capabilities", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.OK
    for told in ("500 characters", "en, zh", "PNG, JPEG", "png, webp", "fake-generation 1"):
        assert told in result.stdout


def test_capabilities_as_json_have_everything(fake_gateway: Running) -> None:
    result = diptych("capabilities", "--json", "--address", fake_gateway.address)
    told = json.loads(result.stdout)
    assert told["limits"]["prompt_characters"] == 500
    assert told["services"][0]["replicas"][1] == {
        "address": "10.0.1.0:9000",
        "serving": False,
        "reason": "connection refused",
        "model": None,
        "queue_seconds": 0.0,
        "calls_in_flight": 0,
    }
