"""Diptych's client for the load generator: grpc.aio, bytes in, bytes out, as little work a call as Python allows."""

from __future__ import annotations

import functools
from array import array
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import grpc

from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2
from tests.benchmarks.load.client import Call, Ending
from tests.benchmarks.reference import inputs

ENDINGS: Mapping[grpc.StatusCode, Ending] = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: Ending.REFUSED,
    grpc.StatusCode.UNAVAILABLE: Ending.REFUSED,
    grpc.StatusCode.DEADLINE_EXCEEDED: Ending.EXPIRED,
}
Request = Callable[[int, int], bytes]
"""From the number of a call and how many items it has, to a message."""


@asynccontextmanager
async def client(address: str, *, task: str, items: int = 1, mixed: bool = False) -> AsyncIterator[Call]:
    """One channel to a service of that task.

    Args:
        address: of the service.
        task: one of `METHODS`.
        items: texts, pictures or seeds of each call.
        mixed: calls have 1 to `items` items in turn.
    """
    method, make = METHODS[task]
    make(0, 1)  # what inputs are made of is made once, before any call
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

        async def call(number: int, seconds: float | None) -> Ending:
            request = make(number, 1 + number % items if mixed else items)
            try:
                answer = await send(request, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                if (ending := ENDINGS.get(error.code())) is None:
                    raise
                return ending
            if not answer:
                raise ValueError("an empty answer")
            return Ending.ANSWERED

        yield call


def _texts(number: int, items: int) -> bytes:
    texts = [inputs.text(number + place) for place in range(items)]
    return text_encoding_pb2.EncodeTextRequest(texts=texts).SerializeToString()


def _images(number: int, items: int) -> bytes:
    images = [inputs.jpeg(number + place) for place in range(items)]
    return classification_pb2.ClassifyImageRequest(images=images).SerializeToString()


def _seeds(number: int, items: int) -> bytes:
    vector, seed = inputs.vector(number)
    return (
        _encoding(vector)
        + generation_pb2.GenerateImageRequest(seeds=[seed + place for place in range(items)]).SerializeToString()
    )


@functools.cache
def _encoding(vector: bytes) -> bytes:
    """A request with an encoding alone: messages are joined by joining their bytes."""
    encoding = encoding_pb2.Encoding(space=inputs.SPACE, vector=array("f", vector))
    return generation_pb2.GenerateImageRequest(encoding=encoding).SerializeToString()


def _prompt(number: int, items: int) -> bytes:
    """A text of 1 KB, all different: the gateway remembers encodings. Its 500 characters suffice in Chinese only."""
    prompt = f"{number:012d}" + "字" * 337  # 3 bytes each
    return text_encoding_pb2.EncodeTextRequest(texts=[prompt]).SerializeToString()


def _painting(number: int, items: int) -> bytes:
    request = gateway_pb2.TextToImageRequest(prompt=inputs.text(number), seeds=[number])
    return request.SerializeToString()


METHODS: Mapping[str, tuple[str, Request]] = {
    "text": ("/diptych.text.v1.TextEncodingService/EncodeText", _texts),
    "classification": ("/diptych.classification.v1.ClassificationService/ClassifyImage", _images),
    "generation": ("/diptych.generation.v1.GenerationService/GenerateImage", _seeds),
    "prompt": ("/diptych.text.v1.TextEncodingService/EncodeText", _prompt),
    "gateway": ("/diptych.gateway.v1.GatewayService/EncodeText", _texts),
    "gateway-prompt": ("/diptych.gateway.v1.GatewayService/EncodeText", _prompt),
    "text-to-image": ("/diptych.gateway.v1.GatewayService/TextToImage", _painting),
}
"""RPC and its requests, by task. EncodeText of gateway and service begin with the same field."""
