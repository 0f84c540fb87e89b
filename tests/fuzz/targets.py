"""What is fuzzed: picture files, and every request of every server, as functions of bytes that may only refuse."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from diptych.types.v1 import encoding_pb2
from services.training.tiny import write_tiny_models
from shared.errors import InvalidArgumentError
from shared.images import decode_square
from tests.end_to_end import bad_input_of_gateway, bad_input_of_services
from tests.end_to_end.bad_input import GOOD_REQUESTS, SPACE_WIDTH, Encodings, Raw
from tests.end_to_end.pictures import bomb, picture_file, truncated_jpeg
from tests.end_to_end.servers import GRPC_SERVICES
from tests.fuzz import in_process
from tests.fuzz.mutation import Bytes, changed, with_checksums
from tests.hostile_pictures import (
    bmp_in_runs,
    exif,
    in_gif,
    in_jpeg,
    in_png,
    in_webp,
    jpeg_of_scans,
    jpeg_segment,
    png_chunk,
    webp_chunk,
)

LONGEST_SEED = 32_768
"""Bytes: what is larger takes long to make and to change, and tests have it already."""
CPU_SECONDS = 1.0
"""Of one input: of the process, so that a busy machine is no hang."""
EXTRA_BYTES = 512 * 1024 * 1024
"""Above what the process held once its seeds were through: three pictures of the largest size that is decoded."""
REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
"""How a request may end that is not answered; any other code is a fault of ours."""


class Finding(Exception):  # noqa: N818 - what a fuzzer finds
    """An input that does what none may."""


class PictureTarget:
    """`decode_square` of any bytes."""

    def seeds(self) -> Iterable[bytes]:
        """Good and hostile pictures of all formats."""
        kinds = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
        yield from (picture_file(kind, size) for kind in kinds for size in ((9, 7), (48, 40)))
        yield from (bomb(kind) for kind in kinds)
        yield truncated_jpeg()
        turned, words = exif(6, entries=3), b"a" * 10
        yield in_jpeg(jpeg_segment(0xE1, b"Exif\0\0" + turned) + jpeg_segment(0xFE, words))
        yield in_png(png_chunk(b"eXIf", turned) + png_chunk(b"tEXt", words))
        yield in_webp(webp_chunk(b"EXIF", turned))
        yield in_gif(b"\x21\xfe\x0a" + words + b"\0")
        yield jpeg_of_scans(3, side=64)
        yield bmp_in_runs(100, b"\xff\1" * 3 + b"\xeb\1\0\0", 1000)

    def run(self, data: bytes) -> None:
        """Raises what it should not."""
        try:
            pixels = decode_square(data, 64)
        except InvalidArgumentError:
            return
        if pixels.shape != (64, 64, 3):
            raise Finding(f"a picture of shape {pixels.shape}")

    def mutate(self, data: bytes, chance: random.Random, mutate: Bytes) -> bytes:
        """Of PNG files mostly such that get past the checksums."""
        made = mutate(data)
        return with_checksums(made) if chance.random() < 0.8 else made


class RequestTarget:
    """Every request of one server: the first byte of an input says which method, the rest is the message."""

    def __init__(self, server: str) -> None:
        self._server = server

    @cached_property
    def platform(self) -> in_process.Platform:
        """Made on first use: it loads models."""
        models = write_tiny_models(Path(tempfile.mkdtemp(prefix="fuzz-models-")))
        if self._server == "gateway":
            return in_process.Platform(in_process.gateway(models))
        return in_process.Platform(in_process.service(self._server, models[self._server]))

    def seeds(self) -> Iterable[bytes]:
        """The good request and all bad ones of the tests, and an empty one of each method."""
        good = _encodings()
        requests = [GOOD_REQUESTS[self._server](good)]
        cases = [*bad_input_of_gateway.CASES, *bad_input_of_services.CASES]
        requests += [case.make(good) for case in cases if case.server == self._server]
        for request in requests:
            name = request.method if isinstance(request, Raw) else type(request).__name__.removesuffix("Request")
            raw = request.data if isinstance(request, Raw) else request.SerializeToString()
            yield bytes([self.platform.methods.index(f"{GRPC_SERVICES[self._server]}/{name}")]) + raw
        yield from (bytes([number]) for number in range(len(self.platform.methods)))

    def run(self, data: bytes) -> None:
        """Raises what it should not."""
        method = self._method(data)
        try:
            self.platform.answer(method, data[1:])
        except in_process.Ended as end:
            if end.code not in REFUSALS:
                raise Finding(f"{method} ended with {end}") from end

    def mutate(self, data: bytes, chance: random.Random, mutate: Bytes) -> bytes:
        """Three of four stay messages of the method, one to four of whose fields have changed."""
        if chance.random() < 0.25:
            return mutate(data)
        message = self._kind(data)()
        try:
            message.ParseFromString(data[1:])
        except DecodeError:
            message = self._kind(data)()
        for _ in range(chance.randint(1, 4)):
            changed(message, chance, mutate)
        return (data[:1] or b"\0") + message.SerializeToString()

    def _method(self, data: bytes) -> str:
        return self.platform.methods[(data[0] if data else 0) % len(self.platform.methods)]

    def _kind(self, data: bytes) -> type[Message]:
        method = descriptor_pool.Default().FindMethodByName(self._method(data).replace("/", "."))
        kind: Any = GetMessageClass(method.input_type)
        return kind  # type: ignore[no-any-return]


def _encodings() -> Encodings:
    """Such as the tiny models make: of their shapes, of no meaning."""
    vector = [1.0] + [0.0] * (SPACE_WIDTH - 1)
    text = encoding_pb2.Encoding(space="tiny", vector=vector)
    image = encoding_pb2.Encoding(space="tiny", vector=vector, tokens=b"\0\x3c" * 64, token_width=16)
    return Encodings(text=text, image=image)


class Target(Protocol):
    """What is fuzzed."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""

    def run(self, data: bytes) -> None:
        """Takes one input; whatever it raises is a finding."""

    def mutate(self, data: bytes, chance: random.Random, mutate: Bytes) -> bytes:
        """Another input, made of one; `mutate` changes any bytes."""


TARGETS: Mapping[str, Callable[[], Target]] = {
    "pictures": PictureTarget,
    **{name: partial(RequestTarget, name) for name in GRPC_SERVICES},
}


@dataclass
class Bounds:
    """Runs inputs within bounds of time and memory."""

    run: Callable[[bytes], None]
    most_bytes: int = 1 << 62
    """Resident memory of the process."""

    def __call__(self, data: bytes) -> None:
        """Raises Finding, or what the input made the target raise."""
        begin = time.process_time()
        self.run(data)
        if (seconds := time.process_time() - begin) > CPU_SECONDS:
            raise Finding(f"{seconds:.2f} s of CPU time; the limit is {CPU_SECONDS:g} s")
        if (peak := _peak_bytes()) > self.most_bytes:
            raise Finding(f"{peak >> 20} MiB of memory; the limit is {self.most_bytes >> 20} MiB")

    def settle(self, seeds: Sequence[bytes]) -> None:
        """Runs the seeds, and from then on allows no more than what they took and a margin."""
        for seed in seeds:
            self(seed)
        self.most_bytes = _peak_bytes() + EXTRA_BYTES


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
