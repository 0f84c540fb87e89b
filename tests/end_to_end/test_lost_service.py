"""A service that is killed and comes back, and replicas of two joint spaces: what callers of the gateway see of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc

from diptych.gateway.v1 import gateway_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs, refusal, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import Launcher, Server

RECOVERY_SECONDS = 2.0
"""From SERVING of a service that is back to the first answer of the gateway."""


async def encode_by_gateway(stubs: Stubs) -> gateway_pb2.EncodeTextResponse:
    """A call that needs the text service."""
    return await stubs.gateway.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a cat"]), timeout=CALL_SECONDS)


async def start_behind_gateway(launcher: Launcher, platform: Platform) -> tuple[Server, Server]:
    """A text service of its own, and a gateway over it and the shared others."""
    text = launcher.service("text")
    gateway = launcher.gateway(platform.targets(text=text.address))
    await asyncio.to_thread(text.wait_serving)
    await asyncio.to_thread(gateway.wait_serving)
    return text, gateway


async def test_killed_service_is_named_and_missed_only_until_it_serves_again(
    launcher: Launcher, platform: Platform, connect: Connect
) -> None:
    text, gateway = await start_behind_gateway(launcher, platform)
    stubs = connect(gateway)
    assert (await encode_by_gateway(stubs)).encodings

    text.kill()

    for _ in range(3):
        end = await refusal(encode_by_gateway(stubs))
        assert end.code == grpc.StatusCode.UNAVAILABLE
        assert end.message.startswith("text: ")
        assert text.address in end.message
    # A caller with little time is told the reason too, and not only that its time is over.
    request = gateway_pb2.EncodeTextRequest(texts=["a cat"])
    assert (await refusal(stubs.gateway.EncodeText(request, timeout=1.0))).code == grpc.StatusCode.UNAVAILABLE
    # Calls that do not need it go on.
    picture = gateway_pb2.ClassifyImageRequest(images=[picture_file()])
    assert (await stubs.gateway.ClassifyImage(picture, timeout=CALL_SECONDS)).results

    text.start()
    answered = asyncio.create_task(first_answer(stubs))
    await asyncio.to_thread(text.wait_serving)
    serving = time.monotonic()

    assert await answered - serving < RECOVERY_SECONDS


async def first_answer(stubs: Stubs) -> float:
    """The time of the first call that is answered; until then each must end with UNAVAILABLE."""
    while True:
        try:
            await encode_by_gateway(stubs)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return time.monotonic()


async def test_gateway_pairs_replicas_of_equal_space_so_that_a_new_version_can_be_rolled_out(
    launcher: Launcher, platform: Platform, other_models: dict[str, Path], connect: Connect
) -> None:
    newer = [launcher.service(name, model_directory=other_models[name]) for name in ("text", "generation")]
    targets = {server.name: f"{platform[server.name].address},{server.address}" for server in newer}
    gateway = launcher.gateway(platform.targets(**targets))
    for server in launcher.servers:
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


async def test_gateway_that_finds_no_service_says_so_and_serves_health(launcher: Launcher, connect: Connect) -> None:
    gateway = launcher.gateway({"text": "127.0.0.1:9", "generation": "dns:///no-such-name.invalid:50063"})
    await asyncio.to_thread(gateway.wait_serving)
    stubs = connect(gateway)

    end = await refusal(encode_by_gateway(stubs))

    assert end.code == grpc.StatusCode.UNAVAILABLE
    assert end.message.startswith("text: ")
    assert "127.0.0.1:9" in end.message
