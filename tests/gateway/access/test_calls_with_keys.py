"""Calls of a gateway that wants keys, over real sockets: who gets an answer, and what the others are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from gateway.access.keys import new_key
from shared.codes import Reason
from shared.errors import CallError, OverloadedError
from shared.rpc.channel import open_channel
from shared.rpc.status import from_rpc_error
from tests.gateway.access.given_keys import bearer, entry, key_of, platform_with_keys, throttled, write_keys
from tests.gateway.fake_platform import Platform

WRONG_CALLS = 10_000
RIGHT_CALLS = 100
PATIENCE_SECONDS = 60.0

TEXT_TO_IMAGE = gateway_pb2.TextToImageRequest(prompt="a cat")
STREAM = gateway_pb2.StreamTextToImageRequest(prompt="a cat")
REQUESTS: dict[str, Any] = {
    "TextToImage": TEXT_TO_IMAGE,
    "StreamTextToImage": STREAM,
    "ImageToText": gateway_pb2.ImageToTextRequest(images=[b"1"]),
    "ClassifyImage": gateway_pb2.ClassifyImageRequest(images=[b"1"]),
    "EncodeText": gateway_pb2.EncodeTextRequest(texts=["a cat"]),
    "EncodeImage": gateway_pb2.EncodeImageRequest(images=[b"1"]),
    "GetCapabilities": gateway_pb2.GetCapabilitiesRequest(),
}


async def call(platform: Platform, method: str, secret: str | None, request: Any = None, **extra: str) -> None:
    """One call to its end, with these metadata besides."""
    entries = (*(bearer(secret) if secret is not None else ()), *extra.items())
    made = getattr(platform.stub, method)(request or REQUESTS[method], metadata=entries)
    if method == "StreamTextToImage":
        async for _ in made:
            pass
    else:
        await made


async def refusal(platform: Platform, method: str, secret: str | None, request: Any = None) -> CallError:
    """What a call is told."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(platform, method, secret, request)
    return from_rpc_error(caught.value)


def replace(file: Path, content: str | None) -> None:
    """Another file, or none, in its place."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_text(content, "utf-8")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.toml"


async def test_every_method_wants_a_key_that_is_for_it(file: Path) -> None:
    all_scopes, one = key_of("all")
    none, other = key_of("none", scopes=[])
    assert set(REQUESTS) == {each.name for each in gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"].methods}
    async with platform_with_keys(file, one, other) as platform:
        for method in REQUESTS:
            await call(platform, method, all_scopes)
            assert (await refusal(platform, method, None)).reason is Reason.KEY_MISSING
            assert (await refusal(platform, method, new_key())).reason is Reason.KEY_UNKNOWN
            if method != "GetCapabilities":
                assert (await refusal(platform, method, none)).reason is Reason.SCOPE_MISSING
        await call(platform, "GetCapabilities", none)


async def test_health_is_open(file: Path) -> None:
    async with platform_with_keys(file) as platform:
        async with open_channel(platform.address, max_message_bytes=1 << 20) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_services_see_the_keys_name_and_priority_and_never_the_key(file: Path) -> None:
    secret, key = key_of("shop", priority="batch")
    async with platform_with_keys(file, key) as platform:
        await call(platform, "TextToImage", secret, **{"diptych-caller": "another", "diptych-priority": "interactive"})
        for fake in (*platform.text, *platform.generation):
            context = fake.behaviour.calls[0].context
            assert (context.caller, context.priority) == ("shop", "batch")


async def test_pictures_are_counted_by_what_is_painted_or_looked_at(file: Path) -> None:
    costs = [
        (4, "TextToImage", gateway_pb2.TextToImageRequest(prompt="a", seeds=[1, 2, 3, 4])),
        (3, "TextToImage", gateway_pb2.TextToImageRequest(prompt="a", image_count=3)),
        (8, "TextToImage", gateway_pb2.TextToImageRequest(prompt="a", image_count=2, candidates=8)),
        (1, "TextToImage", gateway_pb2.TextToImageRequest(prompt="a")),
        (5, "StreamTextToImage", gateway_pb2.StreamTextToImageRequest(prompt="a", image_count=5)),
        (2, "ImageToText", gateway_pb2.ImageToTextRequest(images=[b"1", b"2"])),
        (3, "ClassifyImage", gateway_pb2.ClassifyImageRequest(images=[b"1", b"2", b"3"], labels=["x"])),
        (2, "EncodeImage", gateway_pb2.EncodeImageRequest(images=[b"1", b"2"])),
        (0, "EncodeText", gateway_pb2.EncodeTextRequest(texts=["a"] * 64)),
        (0, "GetCapabilities", gateway_pb2.GetCapabilitiesRequest()),
    ]
    # A picture in eleven days: what is used up stays used up, and whoever owes is refused.
    keys = [key_of(f"k{n}", pictures_per_second=1e-6, pictures_burst=cost + 1.0) for n, (cost, *_) in enumerate(costs)]
    one = gateway_pb2.ClassifyImageRequest(images=[b"1"])
    async with platform_with_keys(file, *(key for _, key in keys)) as platform:
        for (_, method, request), (secret, _) in zip(costs, keys, strict=True):
            await call(platform, method, secret, request)
            await call(platform, "ClassifyImage", secret, one)
            refused = await refusal(platform, "ClassifyImage", secret, one)
            assert isinstance(refused, OverloadedError), method
            assert refused.reason is Reason.RATE_LIMITED and refused.retry_after_seconds > 1000
        assert throttled(platform, "pictures") == len(costs)


async def test_bad_request_costs_no_pictures(file: Path) -> None:
    secret, key = key_of("shop", pictures_per_second=1e-6, pictures_burst=1.0)
    async with platform_with_keys(file, key) as platform:
        for method, request in (
            ("TextToImage", gateway_pb2.TextToImageRequest(prompt="")),
            ("ImageToText", gateway_pb2.ImageToTextRequest(images=[b"1"], candidates=999)),
            ("ClassifyImage", gateway_pb2.ClassifyImageRequest(images=[b"1"], labels=[" "])),
        ):
            assert (await refusal(platform, method, secret, request)).reason not in (None, Reason.RATE_LIMITED)
        await call(platform, "TextToImage", secret)


async def test_streams_of_one_key_are_bounded_and_those_of_another_are_not_touched(file: Path) -> None:
    (greedy, first), (modest, second) = key_of("greedy", concurrent_calls=2), key_of("modest", concurrent_calls=2)
    async with platform_with_keys(file, first, second) as platform:
        painting = platform.generation[0].behaviour
        painting.released.clear()
        streams = [asyncio.create_task(call(platform, "StreamTextToImage", greedy)) for _ in range(2)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(painting.calls) < 2:
                await asyncio.sleep(0.01)
        refused = await refusal(platform, "EncodeText", greedy)
        assert isinstance(refused, OverloadedError)
        assert (refused.reason, refused.retry_after_seconds) == (Reason.CONCURRENCY_LIMITED, 1.0)
        assert throttled(platform, "concurrency") == 1
        await call(platform, "EncodeText", modest)
        streams[0].cancel()  # a caller who leaves gives its place back
        await asyncio.wait(streams[:1])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await call(platform, "EncodeText", greedy)
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.01)
        painting.released.set()
        await streams[1]


async def test_keys_change_under_load_and_no_call_fails(file: Path) -> None:
    secrets, keys = zip(*(key_of(f"key-{number}") for number in range(4)), strict=True)
    ended, stop = 0, False

    async def keep_calling(platform: Platform) -> None:
        nonlocal ended
        while not stop:
            await call(platform, "EncodeText", secrets[0])
            ended += 1

    async with platform_with_keys(file, *keys[:2]) as platform:
        callers = [asyncio.create_task(keep_calling(platform)) for _ in range(8)]
        good = "\n".join(map(entry, keys[:2]))
        for content in (good.replace("key-1", "other"), "[[broken", good, None, good):
            replace(file, content)
            seen = ended
            async with asyncio.timeout(PATIENCE_SECONDS):
                while ended < seen + 20:
                    await asyncio.sleep(0.05)
        write_keys(file, keys[0], keys[2])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await call(platform, "EncodeText", secrets[2])
                    break
                except grpc.aio.AioRpcError:
                    await asyncio.sleep(0.05)
        assert (await refusal(platform, "EncodeText", secrets[1])).reason is Reason.KEY_UNKNOWN
        stop = True
        await asyncio.gather(*callers)


async def test_flood_of_wrong_keys_does_not_starve_the_right_one(file: Path) -> None:
    secret, key = key_of("shop")

    async def flood(platform: Platform, number: int) -> int:
        refused = 0
        async with open_channel(platform.address, max_message_bytes=1 << 20) as channel:
            stub = gateway_pb2_grpc.GatewayServiceStub(channel)
            for _ in range(number):
                try:
                    await stub.EncodeText(REQUESTS["EncodeText"], metadata=bearer(new_key()))
                except grpc.aio.AioRpcError as error:
                    refused += error.code().name == "UNAUTHENTICATED"
        return refused

    async with platform_with_keys(file, key) as platform:
        floods = [asyncio.create_task(flood(platform, WRONG_CALLS // 50)) for _ in range(50)]
        for _ in range(RIGHT_CALLS):
            await call(platform, "EncodeText", secret)
        assert not all(each.done() for each in floods)
        assert sum(await asyncio.gather(*floods)) == WRONG_CALLS
        labels = {"method": "diptych.gateway.v1.GatewayService/EncodeText", "code": "UNAUTHENTICATED"}
        assert platform.registry.get_sample_value("diptych_rpc_requests_total", labels) == WRONG_CALLS
        assert len(platform.text[0].behaviour.calls) == RIGHT_CALLS


@pytest.mark.parametrize("value", ["Bearer " + "x" * 4000, "Bearer", "", "Bearer a b c", ", ,"])
async def test_strange_header_is_no_key_and_ends_nothing_else(file: Path, value: str) -> None:
    secret, key = key_of("shop")
    async with platform_with_keys(file, key) as platform:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await platform.stub.EncodeText(REQUESTS["EncodeText"], metadata=(("authorization", value),))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await call(platform, "EncodeText", secret)


async def test_request_of_a_stranger_is_not_read(file: Path) -> None:
    """It may be of 64 MiB. That of a caller with a key is refused by gRPC for its size; a stranger's is never seen."""
    secret, key = key_of("shop")
    large = gateway_pb2.ImageToTextRequest(images=[bytes(2 << 20)])
    async with platform_with_keys(file, key, max_message_bytes=1 << 20) as platform:
        async with open_channel(platform.address, max_message_bytes=8 << 20) as channel:
            stub = gateway_pb2_grpc.GatewayServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError, match="larger than max"):
                await stub.ImageToText(large, metadata=bearer(secret))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ImageToText(large)
        assert from_rpc_error(caught.value).reason is Reason.KEY_MISSING
