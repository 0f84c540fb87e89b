"""Calls to servers under test: stubs on one channel, requests that work, and refusals taken apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from diptych.captioning.v1 import captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.gateway.v1 import gateway_pb2_grpc
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import encoding_pb2
from shared.rpc import metadata
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import Server

if TYPE_CHECKING:  # present in the stubs only
    TextStub = text_encoding_pb2_grpc.TextEncodingServiceAsyncStub
    ClassificationStub = classification_pb2_grpc.ClassificationServiceAsyncStub
    GenerationStub = generation_pb2_grpc.GenerationServiceAsyncStub
    CaptioningStub = captioning_pb2_grpc.CaptioningServiceAsyncStub
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub

CALL_SECONDS = 30.0
"""Hard limit of a call that should simply work: hanging is a failure, slowness of a busy machine is none."""


class Stubs:
    """All stubs on one channel; only those of the server behind it make sense."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.text: TextStub = text_encoding_pb2_grpc.TextEncodingServiceStub(channel)
        self.classification: ClassificationStub = classification_pb2_grpc.ClassificationServiceStub(channel)
        self.generation: GenerationStub = generation_pb2_grpc.GenerationServiceStub(channel)
        self.captioning: CaptioningStub = captioning_pb2_grpc.CaptioningServiceStub(channel)
        self.gateway: GatewayStub = gateway_pb2_grpc.GatewayServiceStub(channel)


Connect = Callable[[Server], Stubs]
"""What the fixture `connect` is: stubs on a new channel, which is closed after the test."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a call ended that was not OK."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    """Of the ErrorInfo."""
    field: str = ""
    """Of the BadRequest violation."""
    description: str = ""
    retry_seconds: float | None = None
    """Of the RetryInfo."""


async def refusal(call: Awaitable[Any]) -> Refusal:
    """The end of a call that must not be OK; details are read as any client in another language would."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return _taken_apart(error)
    raise AssertionError(f"the call was answered: {str(answer)[:300]}")


def _taken_apart(error: grpc.aio.AioRpcError) -> Refusal:
    reason, field, description, retry_seconds = "", "", "", None
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it asks for no more than the error has
    for detail in status.details if status is not None else ():
        info, bad, retry = (kind() for kind in (ErrorInfo, BadRequest, RetryInfo))
        if detail.Unpack(info):
            assert info.domain == "diptych"
            reason = info.reason
        elif detail.Unpack(bad):
            [violation] = bad.field_violations
            field, description = violation.field, violation.description
        elif detail.Unpack(retry):
            retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=reason,
        field=field,
        description=description,
        retry_seconds=retry_seconds,
    )


async def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Asks, in a thread, until the condition is true."""
    give_up = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.02)


async def text_encoding(stubs: Stubs, text: str = "a cat") -> encoding_pb2.Encoding:
    """A text's encoding, from a text service."""
    request = text_encoding_pb2.EncodeTextRequest(texts=[text])
    return (await stubs.text.EncodeText(request, timeout=CALL_SECONDS)).encodings[0]


async def image_encoding(stubs: Stubs) -> encoding_pb2.Encoding:
    """A picture's encoding, from a classification service."""
    request = classification_pb2.ClassifyImageRequest(images=[picture_file()], include_encodings=True)
    return (await stubs.classification.ClassifyImage(request, timeout=CALL_SECONDS)).classifications[0].encoding


def generate(
    stubs: Stubs, encoding: encoding_pb2.Encoding, *seeds: int
) -> grpc.aio.UnaryUnaryCall[generation_pb2.GenerateImageRequest, generation_pb2.GenerateImageResponse]:
    """A call that paints a picture a seed."""
    request = generation_pb2.GenerateImageRequest(encoding=encoding, seeds=seeds)
    return stubs.generation.GenerateImage(request, timeout=CALL_SECONDS)


def encode(
    stubs: Stubs, *texts: str, caller: str = ""
) -> grpc.aio.UnaryUnaryCall[text_encoding_pb2.EncodeTextRequest, text_encoding_pb2.EncodeTextResponse]:
    """A call that encodes texts."""
    request = text_encoding_pb2.EncodeTextRequest(texts=texts)
    return stubs.text.EncodeText(request, timeout=CALL_SECONDS, metadata=((metadata.CALLER, caller),))
