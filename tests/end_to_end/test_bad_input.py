"""Bad input ends with the right code, reason and field, soon and in little memory; calls beside it are served."""

from __future__ import annotations

import asyncio
import time

import grpc
import psutil
import pytest

from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from shared.codes import Code, Reason
from tests.end_to_end import bad_input_of_gateway, bad_input_of_services
from tests.end_to_end.bad_input import (
    GOOD_PICTURE,
    GOOD_REQUESTS,
    NAN,
    SPACE_WIDTH,
    TEXT_FILE,
    Case,
    Memory,
    Request,
    essence,
    good_encodings,
    send,
)
from tests.end_to_end.calls import CALL_SECONDS, Connect, refusal
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model
from tests.end_to_end.pictures import bomb
from tests.end_to_end.servers import SERVERS

CASES = [*bad_input_of_services.CASES, *bad_input_of_gateway.CASES]
REFUSAL_SECONDS = 0.05
BUSY_SECONDS = 1.0
"""The quickest of many on a machine that is busy."""
TRIES = 20
"""Until one refusal is quick."""
EXTRA_BYTES = 64e6


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_bad_input_is_refused_by_reason_and_field_while_good_calls_are_served(
    case: Case, platform: Platform, connect: Connect
) -> None:
    encodings = await good_encodings(platform, connect)
    stubs, good, bad = connect(platform[case.server]), GOOD_REQUESTS[case.server](encodings), case.make(encodings)
    alone = await send(stubs, case.server, good)
    memory = Memory(*(platform[name] for name in SERVERS))

    before, end, after = await asyncio.gather(
        send(stubs, case.server, good), refusal(send(stubs, case.server, bad)), send(stubs, case.server, good)
    )

    assert (end.code.name, end.reason) == (case.reason.code.name, case.reason.name), end
    assert end.field == case.field, end
    assert case.field in end.message
    assert all(told in end.message for told in case.told), end.message
    assert len(end.message) < 1100, "the message repeats the input"
    assert end.description == (end.message if end.field else "")
    assert essence(before) == essence(after) == essence(alone)
    assert {name: extra for name, extra in memory.extra_bytes().items() if extra > EXTRA_BYTES} == {}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_bad_input_is_refused_within_50_ms_by_an_idle_server(
    case: Case, platform: Platform, connect: Connect
) -> None:
    """Where none of many refusals was so quick, the machine is not idle: then each took no more of the servers' CPU."""
    stubs, bad = connect(platform[case.server]), case.make(await good_encodings(platform, connect))

    spent, quickest = -cpu_seconds(platform), float("inf")
    for _ in range(TRIES):
        begin = time.perf_counter()
        await refusal(send(stubs, case.server, bad))
        quickest = min(quickest, time.perf_counter() - begin)
        if quickest < REFUSAL_SECONDS:
            return
    spent += cpu_seconds(platform)

    assert spent / TRIES < REFUSAL_SECONDS
    assert quickest < BUSY_SECONDS


def cpu_seconds(platform: Platform) -> float:
    """What all front ends have had so far."""
    times = [psutil.Process(platform[name].pid).cpu_times() for name in SERVERS]
    return sum(each.user + each.system for each in times)


@pytest.mark.parametrize(
    ("server", "bad"),
    [
        ("classification", bad_input_of_services.classify(TEXT_FILE)),
        ("classification", bad_input_of_services.classify(bomb("PNG"))),
        ("classification", bad_input_of_services.labelled(vector=[1.0])),
        ("generation", bad_input_of_services.paint(vector=[NAN] * SPACE_WIDTH)),
        ("captioning", bad_input_of_services.caption(tokens=b"")),
    ],
    ids=("text file", "bomb", "label", "encoding", "no tokens"),
)
async def test_bad_item_in_the_batch_of_good_ones_fails_alone(
    server: str, bad: Request, platform: Platform, connect: Connect
) -> None:
    encodings = await good_encodings(platform, connect)
    stubs = connect(platform[server])
    good = GOOD_REQUESTS[server](encodings)
    alone = await send(stubs, server, good)

    with frozen_model(platform[server]):
        first = asyncio.create_task(send(stubs, server, good))
        await admitted(platform[server], in_batch=1, waiting=0)
        calls = [asyncio.create_task(send(stubs, server, request)) for request in (good, bad(encodings), good)]
        await admitted(platform[server], in_batch=1, waiting=3)
    await first
    left, end, right = await asyncio.gather(calls[0], refusal(calls[1]), calls[2])

    assert end.code == grpc.StatusCode.INVALID_ARGUMENT
    assert left.timings.batch_size == right.timings.batch_size == 3
    assert essence(left) == essence(right) == essence(alone)


async def test_ten_bombs_at_once_take_no_memory(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.classification)
    request = classification_pb2.ClassifyImageRequest(images=[bomb("PNG")])
    memory = Memory(platform.classification)

    await asyncio.gather(
        *(refusal(stubs.classification.ClassifyImage(request, timeout=CALL_SECONDS)) for _ in range(10))
    )

    assert sum(memory.extra_bytes().values()) < EXTRA_BYTES


@pytest.mark.parametrize("server", ["classification", "gateway"])
async def test_message_over_the_limit_is_refused_and_the_server_lives(
    server: str, platform: Platform, connect: Connect
) -> None:
    stubs = connect(platform[server])
    kind = gateway_pb2 if server == "gateway" else classification_pb2
    memory = Memory(platform[server])

    end = await refusal(send(stubs, server, kind.ClassifyImageRequest(images=[bytes(65 << 20)])))

    assert end.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert psutil.pid_exists(platform[server].pid)
    assert await send(stubs, server, kind.ClassifyImageRequest(images=[GOOD_PICTURE]))
    assert max(memory.extra_bytes().values()) < EXTRA_BYTES


async def test_call_of_the_largest_size_reaches_the_service_with_the_labels_that_the_gateway_encoded(
    platform: Platform, connect: Connect
) -> None:
    labels = [f"label {index}" for index in range(256)]
    request = gateway_pb2.ClassifyImageRequest(images=[bytes(8 << 20)] * 7 + [b"x"], labels=labels)
    request.images[7] = bytes((64 << 20) - request.ByteSize() - 2)  # its length takes three bytes more
    assert request.ByteSize() == 64 << 20

    end = await refusal(send(connect(platform.gateway), "gateway", request))

    assert (end.reason, end.field) == (Reason.IMAGE_UNREADABLE.name, "images[0]")


BAD_METADATA = [
    ("x-request-id", "x" * 129, ("129", "128")),
    ("diptych-caller", "x" * 129, ("129", "128")),
    ("diptych-caller", "x" * 7000, ("7000", "128")),
    ("diptych-priority", "urgent", ("'urgent'", "interactive, batch")),
]


@pytest.mark.parametrize(("key", "value", "told"), BAD_METADATA, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("server", ["text", "gateway"])
async def test_metadata_that_is_too_long_or_unknown_is_refused_by_its_key(
    server: str, key: str, value: str, told: tuple[str, ...], platform: Platform, connect: Connect
) -> None:
    kind = gateway_pb2 if server == "gateway" else text_encoding_pb2
    call = getattr(connect(platform[server]), server).EncodeText

    end = await refusal(call(kind.EncodeTextRequest(texts=["a cat"]), metadata=((key, value),), timeout=CALL_SECONDS))

    assert (end.reason, end.field) == (Reason.METADATA_INVALID.name, key)
    assert all(each in end.message for each in told)


async def test_metadata_over_the_limit_of_grpc_is_refused_by_grpc(platform: Platform, connect: Connect) -> None:
    stubs, request = connect(platform.gateway), gateway_pb2.EncodeTextRequest(texts=["a cat"])

    end = await refusal(stubs.gateway.EncodeText(request, metadata=(("x-other", "x" * 20_000),), timeout=CALL_SECONDS))

    assert (end.code, end.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")


def test_cases_meet_every_reason_for_which_a_request_can_be_at_fault() -> None:
    at_fault = {each for each in Reason if each.code in (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION)}
    assert {case.reason for case in CASES} == at_fault - {Reason.METADATA_INVALID}
