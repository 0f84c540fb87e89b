"""What the spans of a gateway say: attempts, joined and remembered work, sampling, and a receiver that is away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError, UnavailableError
from shared.rpc import metadata
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import PATIENT, Platform, running_platform
from tests.gateway.sharing import PICTURE, ask, held, held_calls, services_are_known, until
from tests.tracing import require_tracing

require_tracing()

from shared.tracing import CLOSE_SECONDS  # noqa: E402 - it imports what may be missing
from tests.otlp_receiver import Received, Receiver, receiving  # noqa: E402

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ENCODE = "diptych.text.v1.TextEncodingService/EncodeText"
GENERATE = "diptych.generation.v1.GenerationService/GenerateImage"
PAINT = "diptych.gateway.v1.GatewayService/TextToImage"
PROMPT = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver to which spans come soon."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def traced(
    endpoint: str, behaviours: Mapping[str, list[Behaviour]] | None = None, **settings: float
) -> AsyncIterator[Platform]:
    """A gateway that sends its traces there, whose replicas are all known."""
    update = {"traces_endpoint": endpoint, **settings}
    async with running_platform(PATIENT.model_copy(update=update), **(behaviours or {})) as platform:
        await services_are_known(platform)
        yield platform


def parent(flags: str = "01", trace: str = TRACE) -> tuple[str, str]:
    """Metadata of a call in a trace."""
    return metadata.TRACE_PARENT, f"00-{trace}-{SPAN}-{flags}"


def serving(platform: Platform, service: str) -> float | None:
    """Replicas of a service that serve, as the gateway knows them."""
    return platform.registry.get_sample_value("diptych_replicas", {"service": service, "state": "serving"})


async def spans_of(receiver: Receiver, count: int, trace: str = TRACE) -> dict[str, list[Received]]:
    """By name, the spans of a trace that has so many."""
    found: dict[str, list[Received]] = {}
    for span in await asyncio.to_thread(receiver.wait_for, trace, count):
        found.setdefault(span.name, []).append(span)
    return found


async def test_a_callers_trace_goes_on_and_services_are_told_their_attempts_span(receiver: Receiver) -> None:
    async with traced(receiver.endpoint) as platform:
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent(), (metadata.TRACE_STATE, "a=1")])
        told = platform.generation[0].calls[-1].context.trace
        found = await spans_of(receiver, 3)
    [[call], [encode], [generate]] = found[PAINT], found[ENCODE], found[GENERATE]
    assert (call.parent, call.kind, encode.kind, generate.kind) == (SPAN, "SERVER", "CLIENT", "CLIENT")
    assert encode.parent == generate.parent == call.span
    assert told is not None
    assert (told.trace_id, told.span_id, told.sampled, told.state) == (TRACE, generate.span, True, "a=1")


async def test_a_retry_is_a_second_attempt_beside_the_first(receiver: Receiver) -> None:
    errors: list[UnavailableError] = []
    failing = [Behaviour(error=lambda: errors.pop() if errors else None) for _ in range(2)]
    async with traced(receiver.endpoint, {"generation": failing}) as platform:
        errors.append(UnavailableError("gone", reason=Reason.MODEL_LOST))
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent()])
        addresses = {each.address for each in platform.generation}
        found = await spans_of(receiver, 4)
    first, second = sorted(found[GENERATE], key=lambda span: span.begin)
    assert (first.attributes["diptych.attempt"], second.attributes["diptych.attempt"]) == (1, 2)
    assert (first.error, second.error) == ("MODEL_LOST", None)
    assert first.attributes["rpc.grpc.status_code"] == 14 and second.attributes["rpc.grpc.status_code"] == 0
    assert first.parent == second.parent == found[PAINT][0].span
    asked = [f"{each.attributes['server.address']}:{each.attributes['server.port']}" for each in (first, second)]
    assert set(asked) == addresses
    assert second.attributes["diptych.model.space"] == "space-a"


async def test_a_joined_call_links_to_where_the_work_is(receiver: Receiver) -> None:
    other = "1" * 32
    async with traced(receiver.endpoint) as platform:
        platform.generation[0].calls.clear()
        async with held(platform.generation[0]):
            calls = [
                lambda: ask(platform.stub.TextToImage, PICTURE, 40.0, parent()),
                lambda: ask(platform.stub.TextToImage, PICTURE, 40.0, parent(trace=other)),
            ]
            running = await held_calls(platform, "generation", calls)
        await asyncio.gather(*running)
        first, joined = await spans_of(receiver, 3), await spans_of(receiver, 3, other)
    assert GENERATE in first and GENERATE not in joined
    [wait] = joined["joined generation"]
    assert wait.links == ((TRACE, first[PAINT][0].span),)
    assert wait.parent == joined[PAINT][0].span


async def test_what_was_remembered_is_an_event(receiver: Receiver) -> None:
    async with traced(receiver.endpoint, encoding_cache_bytes=1 << 20) as platform:
        await platform.stub.TextToImage(PROMPT, timeout=30)
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent()])
        found = await spans_of(receiver, 2)
    assert ENCODE not in found
    [call] = found[PAINT]
    assert call.events == {"encodings remembered": {"diptych.cache.hits": 1, "diptych.cache.misses": 0}}


async def test_a_wait_for_replicas_is_an_event(receiver: Receiver) -> None:
    async with traced(receiver.endpoint, replica_wait_seconds=0.1) as platform:
        await platform.generation[0].set_serving(False)
        await until(lambda: serving(platform, "generation") == 0.0)
        with pytest.raises(grpc.aio.AioRpcError, match="generation: no replica is serving"):
            await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent()])
        [call] = (await spans_of(receiver, 2))[PAINT]
    assert call.events["waits for replicas"] == {"diptych.service": "generation"}
    assert call.error == "NO_REPLICA"


async def test_a_refused_call_tells_code_and_reason_and_is_no_fault_of_the_server(receiver: Receiver) -> None:
    async with traced(receiver.endpoint) as platform:
        with pytest.raises(grpc.aio.AioRpcError):
            await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(), timeout=30, metadata=[parent()])
        [call] = (await spans_of(receiver, 1))[PAINT]
    assert call.error is None
    assert (call.attributes["rpc.grpc.status_code"], call.attributes["error.type"]) == (3, "INVALID_ARGUMENT")
    assert call.attributes["diptych.reason"] == "FIELD_MISSING"


async def test_no_span_has_words_of_an_error(receiver: Receiver) -> None:
    refusing = Behaviour(error=lambda: InvalidArgumentError("texts[0] is 'wild strawberries'", field="texts[0]"))
    async with traced(receiver.endpoint, {"text": [refusing]}) as platform:
        with pytest.raises(grpc.aio.AioRpcError, match="wild strawberries"):
            await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent()])
        await spans_of(receiver, 2)
    assert b"a cat" not in b"".join(receiver.raw) and b"strawberries" not in b"".join(receiver.raw)


async def test_a_call_that_its_caller_does_not_record_is_passed_on_unrecorded(receiver: Receiver) -> None:
    async with traced(receiver.endpoint) as platform:
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent("00")])
        told = platform.generation[0].calls[-1].context.trace
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent(trace="2" * 32)])
        await spans_of(receiver, 3, "2" * 32)
    assert told is not None
    assert told.parent == parent("00")[1]
    assert not [span for span in receiver.spans if span.trace == TRACE]


async def test_a_call_that_is_not_in_the_sample_is_in_no_services_sample_either(receiver: Receiver) -> None:
    async with traced(receiver.endpoint, traces_sample_ratio=0.0) as platform:
        await platform.stub.TextToImage(PROMPT, timeout=30)
        told = platform.generation[0].calls[-1].context.trace
        await platform.stub.TextToImage(PROMPT, timeout=30, metadata=[parent()])
        await spans_of(receiver, 3)
    assert told is not None and not told.sampled
    assert {span.trace for span in receiver.spans} == {TRACE}


@pytest.mark.parametrize("listens", [False, True], ids=["nobody listens", "nobody answers"])
async def test_a_receiver_that_is_away_fails_no_call_and_holds_up_no_stop_for_long(listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not listens:
            silent.close()
        async with traced(f"127.0.0.1:{port}") as platform:
            for _ in range(20):
                await platform.stub.TextToImage(PROMPT, timeout=30)
            begin = time.monotonic()
    assert time.monotonic() - begin < CLOSE_SECONDS + 15
