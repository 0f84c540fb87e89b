"""What a case of bad input is, how it is sent, and what good calls stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2
from shared.codes import Reason
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs, image_encoding, text_encoding
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import GRPC_SERVICES, SERVICES, Server

GOOD_PICTURE = picture_file()
TEXT_FILE = b"this is not a picture\n" * 20
LONG = "x" * 5000
HUGE = "x" * 100_000
"""Longer than what a client takes as metadata, where an error's message travels."""
SPACE_WIDTH = 32
"""Of the tiny models."""
NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Encodings:
    """A good encoding of each modality, to be spoilt."""

    text: encoding_pb2.Encoding
    image: encoding_pb2.Encoding


@dataclass(frozen=True)
class Raw:
    """A request as bytes, which need not be a message."""

    method: str
    data: bytes


Request = Callable[[Encodings], Any]
"""Makes a request, a message or a Raw, of good encodings."""


@dataclass(frozen=True)
class Case:
    """A request that must be refused."""

    server: str
    what: str
    make: Request
    reason: Reason
    field: str = ""
    told: tuple[str, ...] = ()
    """What the message must name: the value, and the limit."""

    def __str__(self) -> str:
        return f"{self.server}: {self.what}"


async def good_encodings(platform: Platform, connect: Connect) -> Encodings:
    """Fresh ones, from the services."""
    text = await text_encoding(connect(platform.text))
    return Encodings(text=text, image=await image_encoding(connect(platform.classification)))


def changed(encoding: encoding_pb2.Encoding, changes: dict[str, Any]) -> encoding_pb2.Encoding:
    """A copy with other fields."""
    fields = {"space": encoding.space, "vector": encoding.vector, "tokens": encoding.tokens} | changes
    return encoding_pb2.Encoding(token_width=fields.pop("token_width", encoding.token_width), **fields)


async def send(stubs: Stubs, server: str, request: Any, seconds: float = CALL_SECONDS) -> Any:
    """The answer to a request, told by its type; of a stream the list of its messages."""
    if isinstance(request, Raw):
        path = f"/{GRPC_SERVICES[server]}/{request.method}"
        multicallable: Any = stubs.channel.unary_unary(path)  # without serialisers: bytes in, bytes out
        return await multicallable(request.data, timeout=seconds)
    method = type(request).__name__.removesuffix("Request")
    call = getattr(getattr(stubs, server), method)(request, timeout=seconds)
    if isinstance(call, grpc.aio.UnaryStreamCall):
        return [message async for message in call]
    return await call


GOOD_REQUESTS: dict[str, Request] = {
    "text": lambda good: text_encoding_pb2.EncodeTextRequest(texts=["a cat"]),
    "classification": lambda good: classification_pb2.ClassifyImageRequest(images=[GOOD_PICTURE]),
    "generation": lambda good: generation_pb2.GenerateImageRequest(encoding=good.text, seeds=[7]),
    "captioning": lambda good: captioning_pb2.GenerateCaptionRequest(encodings=[good.image]),
    "gateway": lambda good: gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7]),
}


def essence(answer: Any) -> Any:
    """What an answer says that must not depend on who else was in the batch."""
    match answer:
        case text_encoding_pb2.EncodeTextResponse():
            return [[round(number, 4) for number in each.vector] for each in answer.encodings]
        case classification_pb2.ClassifyImageResponse():
            return [[label.id for label in each.labels] for each in answer.classifications]
        case captioning_pb2.GenerateCaptionResponse():
            return [[caption.text for caption in each.captions] for each in answer.results]
        case generation_pb2.GenerateImageResponse() | gateway_pb2.TextToImageResponse():
            return [each.image.pixel_sha256 for each in answer.images]
    raise AssertionError(type(answer))


class Memory:
    """Peak resident memory of processes, from now on."""

    def __init__(self, *servers: Server) -> None:
        front_ends = {server.name: server.pid for server in servers}
        models = {f"{server.name}, model": server.model_pid() for server in servers if server.name in SERVICES}
        self._processes = front_ends | models
        for pid in self._processes.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins at what is held now
        self._before = {name: _status_bytes(pid, "VmHWM") for name, pid in self._processes.items()}

    def extra_bytes(self) -> dict[str, int]:
        """By process, how far the peak went above what was held at the beginning."""
        return {name: _status_bytes(pid, "VmHWM") - self._before[name] for name, pid in self._processes.items()}


def _status_bytes(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
