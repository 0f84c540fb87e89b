"""One trace a call over real servers and models, their log lines, and what neither of them may hold."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.rpc import metadata
from tests.end_to_end.calls import CALL_SECONDS, Connect, encode
from tests.end_to_end.servers import MODEST, SERVICES, Launcher, Server, wait_until
from tests.otlp_receiver import Received, Receiver, receiving

PAINT = "diptych.gateway.v1.GatewayService/TextToImage"
ENCODE = "diptych.text.v1.TextEncodingService/EncodeText"
GENERATE = "diptych.generation.v1.GenerationService/GenerateImage"
SPANS = 11
"""Of TextToImage: the gateway's, two attempts, and of each of two services the call, its queue, batch and inference."""
SECRETS = ("marmalade zeppelin", "swordfish")


@dataclass(frozen=True, kw_only=True)
class Traced:
    """A gateway and what it paints with, all of which send their traces to one receiver."""

    receiver: Receiver
    gateway: Server
    text: Server
    generation: Server


@pytest.fixture(scope="module")
def traced(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, run_mark: str) -> Iterator[Traced]:
    """Started once for this module."""
    with pytest.MonkeyPatch.context() as patch, receiving() as receiver:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        settings = {"traces_endpoint": receiver.endpoint, "log_format": "json", "call_log": "all"}
        launcher = Launcher(tiny_models, tmp_path_factory.mktemp("traced"), run_mark, {**MODEST, **settings})
        try:
            text, generation = launcher.service("text"), launcher.service("generation")
            targets = dict.fromkeys(SERVICES, "127.0.0.1:1")  # two of them are not needed
            targets |= {"text": text.address, "generation": generation.address}
            gateway = launcher.gateway(targets, replica_wait_seconds=20)
            for server in launcher.servers:
                server.wait_serving()
            yield Traced(receiver=receiver, gateway=gateway, text=text, generation=generation)
        finally:
            launcher.stop_all()


async def paint(traced: Traced, connect: Connect, number: int) -> list[Received]:
    """The spans of one call, the trace of which is told apart by a number."""
    trace = f"{number:032x}"
    entries = (
        (metadata.REQUEST_ID, f"r{number}"),
        (metadata.CALLER, "shop"),
        (metadata.TRACE_PARENT, f"00-{trace}-00f067aa0ba902b7-01"),
        ("authorization", "Bearer swordfish"),
    )
    request = gateway_pb2.TextToImageRequest(prompt="a marmalade zeppelin", seeds=[1, 2])
    await connect(traced.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS, metadata=entries)
    return traced.receiver.wait_for(trace, SPANS)


def only(spans: list[Received], name: str, kind: str = "INTERNAL", service: str = "") -> Received:
    """The one span that is named so."""
    [found] = [each for each in spans if each.name == name and each.kind == kind and service in each.service]
    return found


async def test_a_call_is_one_trace_with_every_hop_below_the_one_before(traced: Traced, connect: Connect) -> None:
    spans = await paint(traced, connect, 1)
    assert len(spans) == SPANS
    call = only(spans, PAINT, "SERVER")
    assert (call.parent, call.service) == ("00f067aa0ba902b7", "diptych-gateway")
    for path, service in ((ENCODE, "diptych-text"), (GENERATE, "diptych-generation")):
        attempt, served = only(spans, path, "CLIENT"), only(spans, path, "SERVER")
        assert (attempt.parent, attempt.service) == (call.span, "diptych-gateway")
        assert (served.parent, served.service) == (attempt.span, service)
        queue, batch, inference = (only(spans, name, service=service) for name in ("queue", "batch", "inference"))
        assert (queue.parent, batch.parent, inference.parent) == (served.span, served.span, batch.span)


async def test_spans_lie_within_those_above_and_one_after_another(traced: Traced, connect: Connect) -> None:
    spans = await paint(traced, connect, 2)
    by_id = {span.span: span for span in spans}
    slack = 2_000_000  # nanoseconds, between two readings of two clocks
    for span in spans:
        assert span.begin <= span.end
        if span.parent in by_id:
            above = by_id[span.parent]
            assert above.begin - slack <= span.begin <= span.end <= above.end + slack
    for service in ("text", "generation"):
        queue, batch = only(spans, "queue", service=service), only(spans, "batch", service=service)
        assert queue.end <= batch.begin + slack


async def test_spans_are_described_by_the_conventions_for_rpc(traced: Traced, connect: Connect) -> None:
    spans = await paint(traced, connect, 3)
    attempt = only(spans, GENERATE, "CLIENT")
    of_rpc = {name: value for name, value in attempt.attributes.items() if name.startswith(("rpc.", "server."))}
    assert of_rpc == {
        "rpc.system": "grpc",
        "rpc.service": "diptych.generation.v1.GenerationService",
        "rpc.method": "GenerateImage",
        "rpc.grpc.status_code": 0,
        "server.address": "127.0.0.1",
        "server.port": traced.generation.port,
    }
    assert attempt.attributes["diptych.model.name"] == "tiny-generation"
    assert only(spans, GENERATE, "SERVER").attributes["diptych.items"] == 2
    batch = only(spans, "batch", service="generation").attributes
    assert (batch["diptych.batch.size"], batch["diptych.batch.bucket"]) == (2, 2)
    assert batch["diptych.batch.number"] >= 1


async def test_each_hop_leaves_one_json_line_with_ids_and_timings(traced: Traced, connect: Connect) -> None:
    await paint(traced, connect, 4)
    gateway, generation = line_of(traced.gateway, "r4"), line_of(traced.generation, "r4")
    assert gateway.items() >= {
        "method": PAINT, "code": "OK", "trace_id": f"{4:032x}", "items": 2, "caller": "shop", "priority": "interactive",
    }.items()  # fmt: skip
    assert generation.items() >= {"method": GENERATE, "code": "OK", "trace_id": f"{4:032x}", "items": 2}.items()
    assert 0 <= generation["queue_seconds"] < generation["seconds"] < gateway["seconds"]
    assert 0 < generation["inference_seconds"] < generation["seconds"]


def line_of(server: Server, request_id: str) -> dict[str, Any]:
    """The line of a call, once it is there."""

    def found() -> list[dict[str, Any]]:
        every = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in every if line.get("request_id") == request_id and "method" in line]

    wait_until(found, f"the line of {request_id}")
    [line] = found()
    return line


async def test_neither_prompt_nor_key_is_in_a_trace_or_a_log(traced: Traced, connect: Connect) -> None:
    await paint(traced, connect, 5)
    line_of(traced.gateway, "r5")
    logs = "".join(server.log.read_text() for server in (traced.gateway, traced.text, traced.generation))
    assert "r5" in logs and b"tiny-generation" in b"".join(traced.receiver.raw)
    for secret in SECRETS:
        assert secret not in logs
        assert secret.encode() not in b"".join(traced.receiver.raw)


async def test_a_receiver_that_hangs_does_not_keep_a_service_from_ending(
    light_launcher: Launcher, connect: Connect
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = light_launcher.service("text", traces_endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        text.wait_serving()
        await encode(connect(text), "a cat")
        text.popen.send_signal(signal.SIGTERM)
        assert text.wait_ended() == 0
    assert "took the last spans not within" in text.log.read_text()
