"""A service that is killed and comes back, and replicas of two joint spaces: what callers of the gateway see of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from tests.end_to_end.bad_input import send
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs, refusal, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import frozen_model
from tests.end_to_end.pictures import PNG_SIGNATURE, picture_file
from tests.end_to_end.servers import SERVICES, Launcher, Server

RECOVERY_SECONDS = 5.0
"""From SERVING of a service that is back to the first answer of the gateway."""
DEADLINE_SECONDS = 10.0
"""Of calls that must say within it what is wrong."""

PICTURE = picture_file()
CALLS: dict[str, Any] = {
    "paint": gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7]),
    "stream": gateway_pb2.StreamTextToImageRequest(prompt="a cat", seeds=[7, 8]),
    "choose": gateway_pb2.TextToImageRequest(prompt="a cat", candidates=2),
    "describe": gateway_pb2.ImageToTextRequest(images=[PICTURE]),
    "classify": gateway_pb2.ClassifyImageRequest(images=[PICTURE]),
    "zero-shot": gateway_pb2.ClassifyImageRequest(images=[PICTURE], labels=["a cat", "a dog"]),
    "encode text": gateway_pb2.EncodeTextRequest(texts=["a cat"]),
    "encode image": gateway_pb2.EncodeImageRequest(images=[PICTURE]),
}
NEEDED_BY = {
    "text": {"paint", "stream", "choose", "zero-shot", "encode text"},
    "classification": {"choose", "describe", "classify", "zero-shot", "encode image"},
    "generation": {"paint", "stream", "choose"},
    "captioning": {"describe"},
}
"""The calls that pass through each service."""


async def encode_by_gateway(stubs: Stubs) -> gateway_pb2.EncodeTextResponse:
    """A call that needs the text service."""
    return await stubs.gateway.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a cat"]), timeout=CALL_SECONDS)


async def start_behind_gateway(name: str, launcher: Launcher, platform: Platform) -> tuple[Server, Server]:
    """A service of its own, and a gateway over it and the shared others."""
    service = launcher.service(name)
    gateway = launcher.gateway(platform.targets(**{name: service.address}))
    await asyncio.to_thread(service.wait_serving)
    await asyncio.to_thread(gateway.wait_serving)
    return service, gateway


@pytest.mark.parametrize("name", SERVICES)
async def test_killed_service_is_named_and_missed_only_until_it_serves_again(
    name: str, light_launcher: Launcher, platform: Platform, connect: Connect
) -> None:
    service, gateway = await start_behind_gateway(name, light_launcher, platform)
    stubs = connect(gateway)
    for call in CALLS.values():
        assert await send(stubs, "gateway", call)

    service.kill()

    for what, call in CALLS.items():
        begin = time.monotonic()
        if what not in NEEDED_BY[name]:
            assert await send(stubs, "gateway", call, DEADLINE_SECONDS)
            continue
        end = await refusal(send(stubs, "gateway", call, DEADLINE_SECONDS))
        assert time.monotonic() - begin < DEADLINE_SECONDS, what
        assert (end.code, end.reason) == (grpc.StatusCode.UNAVAILABLE, Reason.NO_REPLICA.name), (what, end)
        assert end.message.startswith(f"{name}: ") and service.address in end.message, what

    service.start()
    answered = asyncio.gather(*(first_answer(stubs, CALLS[what]) for what in sorted(NEEDED_BY[name])))
    await asyncio.to_thread(service.wait_serving)
    serving = time.monotonic()

    assert max(await answered) - serving < RECOVERY_SECONDS


async def first_answer(stubs: Stubs, call: Any) -> float:
    """The time of the first call that is answered; until then each must end with UNAVAILABLE."""
    while True:
        try:
            await send(stubs, "gateway", call)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return time.monotonic()


async def read_until_the_end(stream: Any, came: list[Any]) -> grpc.aio.AioRpcError | None:
    """Puts the messages of a stream into `came`; the error that ended it."""
    try:
        async for picture in stream:
            came.append(picture)
    except grpc.aio.AioRpcError as error:
        return error
    return None


@pytest.mark.parametrize("all_lost", [False, True], ids=("one lost", "all lost"))
async def test_stream_that_loses_a_painter_goes_on_with_another_or_says_so(
    all_lost: bool, light_launcher: Launcher, platform: Platform, connect: Connect
) -> None:
    """The pictures are spread over a painter that answers and one that hangs, until it is killed."""
    quick, stuck = light_launcher.service("generation"), light_launcher.service("generation")
    gateway = light_launcher.gateway(platform.targets(generation=f"{quick.address},{stuck.address}"))
    for server in light_launcher.servers:
        await asyncio.to_thread(server.wait_serving)
    await until(
        lambda: gateway.metrics().total("diptych_replicas", service="generation", state="serving") == 2,
        "the gateway knows both",
    )
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", seeds=range(16))

    with frozen_model(stuck):
        came: list[Any] = []
        stream = connect(gateway).gateway.StreamTextToImage(request, timeout=CALL_SECONDS)
        reading = asyncio.create_task(read_until_the_end(stream, came))
        await until(lambda: came, "a picture has come")
        if all_lost:
            quick.kill()
        stuck.kill()
        error = await reading

    assert came and all(each.image.image.data.startswith(PNG_SIGNATURE) for each in came)
    assert all(each.image.seed == each.index for each in came)
    if all_lost:
        assert len(came) < 16
        assert error and error.code() == grpc.StatusCode.UNAVAILABLE
        assert (error.details() or "").startswith("generation: ")
    else:
        assert error is None and sorted(each.index for each in came) == list(range(16))


async def test_gateway_pairs_replicas_of_equal_space_so_that_a_new_version_can_be_rolled_out(
    light_launcher: Launcher, platform: Platform, other_models: dict[str, Path], connect: Connect
) -> None:
    newer = [light_launcher.service(name, model_directory=other_models[name]) for name in ("text", "generation")]
    targets = {server.name: f"{platform[server.name].address},{server.address}" for server in newer}
    gateway = light_launcher.gateway(platform.targets(**targets))
    for server in light_launcher.servers:
        await asyncio.to_thread(server.wait_serving)
    await until(
        lambda: all(
            gateway.metrics().total("diptych_replicas", service=server.name, state="serving") == 2 for server in newer
        ),
        "the gateway knows all replicas",
    )
    stubs = connect(gateway)

    answers = [
        await stubs.gateway.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"), timeout=CALL_SECONDS)
        for _ in range(40)
    ]

    spaces = [tuple(stage.model.space for stage in answer.stages) for answer in answers]
    assert set(spaces) == {("tiny", "tiny"), ("other", "other")}


async def test_gateway_that_finds_no_service_says_so_and_serves_health(
    light_launcher: Launcher, connect: Connect
) -> None:
    gateway = light_launcher.gateway({"text": "127.0.0.1:9", "generation": "dns:///no-such-name.invalid:50063"})
    await asyncio.to_thread(gateway.wait_serving)
    stubs = connect(gateway)

    end = await refusal(encode_by_gateway(stubs))

    assert end.code == grpc.StatusCode.UNAVAILABLE
    assert end.message.startswith("text: ")
    assert "127.0.0.1:9" in end.message
