"""Calls of every flow through the gateway to the models of `echo`, each answer checked against its own input."""

from __future__ import annotations

import asyncio
import json
import random
import time
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from shared.rpc.channel import message_limits
from tests import traffic
from tests.benchmarks.robustness import echo

if TYPE_CHECKING:  # present in the stubs only
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub

CALL_SECONDS = 60.0
"""Deadline of a call that should simply work, wide enough for a busy machine."""
MESSAGE_BYTES = 1 << 27
ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}})
"""What a client needs to go to gateways that serve, and to no others. It retries nothing."""


class WrongAnswerError(Exception):
    """An answer that is not that of its question."""


def open_channel(target: str) -> grpc.aio.Channel:
    """To all gateways."""
    return grpc.aio.insecure_channel(
        target,
        options=[
            *message_limits(receive=MESSAGE_BYTES, send=MESSAGE_BYTES),
            ("grpc.service_config", ROUND_ROBIN),
            ("grpc.enable_retries", 0),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.enable_http_proxy", 0),
        ],
    )


def _same(found: object, expected: object) -> None:
    if found != expected:
        raise WrongAnswerError(f"{found!r} instead of {expected!r}"[:300])


def _vector(numbers: Any) -> bytes:
    return array("f", numbers).tobytes()


async def encode_text(stub: GatewayStub, number: int) -> None:
    texts = [f"text {number}", f"and {number}"]
    answer = await stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=texts), timeout=CALL_SECONDS)
    _same([_vector(each.vector) for each in answer.encodings], [echo.point(text.encode()) for text in texts])


async def encode_image(stub: GatewayStub, number: int) -> None:
    image = b"file %d" % number
    answer = await stub.EncodeImage(gateway_pb2.EncodeImageRequest(images=[image]), timeout=CALL_SECONDS)
    _same([_vector(each.vector) for each in answer.encodings], [echo.point(image)])


async def paint(stub: GatewayStub, number: int) -> None:
    prompt, seeds = f"prompt {number}", [number, number + 1]
    answer = await stub.TextToImage(gateway_pb2.TextToImageRequest(prompt=prompt, seeds=seeds), timeout=CALL_SECONDS)
    _same([each.image.pixel_sha256 for each in answer.images], [echo.pixel_sha256(prompt, seed) for seed in seeds])


async def stream(stub: GatewayStub, number: int) -> None:
    prompt, seeds = f"prompt {number}", [number, number + 1, number + 2]
    request = gateway_pb2.StreamTextToImageRequest(prompt=prompt, seeds=seeds)
    found = {
        answer.index: answer.image.image.pixel_sha256
        async for answer in stub.StreamTextToImage(request, timeout=CALL_SECONDS)
    }
    _same(found, {index: echo.pixel_sha256(prompt, seed) for index, seed in enumerate(seeds)})


async def choose(stub: GatewayStub, number: int) -> None:
    prompt, seeds = f"prompt {number}", [number, number + 1]
    request = gateway_pb2.TextToImageRequest(prompt=prompt, seeds=seeds, candidates=2, image_count=1)
    [picture] = (await stub.TextToImage(request, timeout=CALL_SECONDS)).images
    _same(picture.seed in seeds, True)
    _same(picture.image.pixel_sha256, echo.pixel_sha256(prompt, picture.seed))


async def describe(stub: GatewayStub, number: int) -> None:
    image = b"file %d" % number
    answer = await stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[image]), timeout=CALL_SECONDS)
    _same(
        [[each.text for each in result.captions] for result in answer.descriptions], [[echo.caption(echo.point(image))]]
    )


async def classify(stub: GatewayStub, number: int) -> None:
    images = [b"file %d" % number, b"and %d" % number]
    answer = await stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=images), timeout=CALL_SECONDS)
    _same([each.labels[0].id for each in answer.results], [echo.label(image) for image in images])


async def classify_by_labels(stub: GatewayStub, number: int) -> None:
    labels = [f"label {number}", f"other {number}", f"third {number}"]
    image = labels[number % 3].encode()
    request = gateway_pb2.ClassifyImageRequest(images=[image], labels=labels, top_k=1)
    answer = await stub.ClassifyImage(request, timeout=CALL_SECONDS)
    _same([each.labels[0].text for each in answer.results], [labels[number % 3]])


Flow = Callable[["GatewayStub", int], Awaitable[None]]
"""Makes the call of a number, and raises WrongAnswerError when the answer is another's."""
ECHO_FLOWS: Mapping[str, Flow] = {
    flow.__name__: flow
    for flow in (
        encode_text, encode_image, paint, stream, choose, describe, classify, classify_by_labels,
    )
}  # fmt: skip


def _of_traffic(flow: traffic.Flow) -> Flow:
    async def call(stub: GatewayStub, number: int) -> None:
        try:
            stages = await flow(stub)
        except AssertionError as error:
            raise WrongAnswerError(str(error)[:300]) from None
        _same(bool(stages), True)

    return call


REAL_FLOWS: Mapping[str, Flow] = {flow.__name__: _of_traffic(flow) for flow in traffic.FLOWS}
"""Of models with weights, real pictures and prompts; answers are only seen to be whole."""


@dataclass
class Seen:
    """How calls ended."""

    answered: Counter[str] = field(default_factory=Counter)
    """By flow."""
    cancelled: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """By code; `WRONG` is an answer to another question."""
    examples: list[str] = field(default_factory=list)
    last_failure: float = 0.0
    """When, by `time.monotonic`."""

    def fail(self, flow: str, code: str, message: str) -> None:
        """Notes a call that had no good answer."""
        self.failed[code] += 1
        self.last_failure = time.monotonic()
        if len(self.examples) < 10:
            self.examples.append(f"{flow}: {code}: {message}"[:400])

    async def note(self, name: str, call: Awaitable[None]) -> None:
        """Awaits a call."""
        try:
            await call
            self.answered[name] += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                task.uncancel()
        except grpc.aio.AioRpcError as error:
            task = asyncio.current_task()
            if error.code() is grpc.StatusCode.CANCELLED and task is not None and task.cancelling():
                self.cancelled += 1  # gRPC was first to notice
                task.uncancel()
                return
            self.fail(name, error.code().name, error.details() or "")
        except WrongAnswerError as error:
            self.fail(name, "WRONG", str(error))

    def told(self) -> dict[str, object]:
        """For JSON."""
        return {
            "answered": self.answered.total(),
            "by_flow": dict(self.answered),
            "cancelled": self.cancelled,
            "failed": dict(self.failed),
            "examples": self.examples,
        }


async def open_loop(
    stub: GatewayStub, flows: Mapping[str, Flow], rate: float, seen: Seen, over: asyncio.Event, *, seed: int = 0
) -> None:
    """Random flows by the clock, so many a second, until it is over and the last has ended."""
    chance, under_way = random.Random(seed), set[asyncio.Task[None]]()
    start, made = time.monotonic(), 0
    while not over.is_set():
        await asyncio.sleep(max(0.0, start + made / rate - time.monotonic()))
        name = chance.choice(list(flows))
        task = asyncio.create_task(seen.note(name, flows[name](stub, made)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        made += 1
    if under_way:
        await asyncio.wait(under_way)
