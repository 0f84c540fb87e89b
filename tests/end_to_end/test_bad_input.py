"""Bad input ends with the right code and a field violation; who calls at the same time, and later, is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs, image_encoding, refusal, text_encoding
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import admitted, frozen_model
from tests.end_to_end.pictures import bomb_png, picture_file, truncated_jpeg
from tests.end_to_end.servers import Server

GOOD = picture_file()
NAN = float("nan")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


@dataclass(frozen=True, kw_only=True)
class Encodings:
    """A good encoding of each modality, to be spoilt."""

    text: encoding_pb2.Encoding
    image: encoding_pb2.Encoding


Request = Callable[[Encodings], Any]
"""Makes a request of good encodings."""


def texts(*values: str) -> Request:
    return lambda good: text_encoding_pb2.EncodeTextRequest(texts=values)


def classify(*images: bytes, **fields: Any) -> Request:
    return lambda good: classification_pb2.ClassifyImageRequest(images=images, **fields)


def paint(seeds: int = 1, **changes: Any) -> Request:
    return lambda good: generation_pb2.GenerateImageRequest(encoding=changed(good.text, changes), seeds=range(seeds))


def caption(count: int = 1, language: str = "en", **changes: Any) -> Request:
    """The first encodings are good and the last is spoilt."""

    def make(good: Encodings) -> captioning_pb2.GenerateCaptionRequest:
        encodings = [good.image] * (count - 1) + [changed(good.image, changes)] * min(count, 1)
        return captioning_pb2.GenerateCaptionRequest(encodings=encodings, language=language)

    return make


def prompt(value: str, **fields: Any) -> Request:
    return lambda good: gateway_pb2.TextToImageRequest(prompt=value, **fields)


def gateway_texts(*values: str) -> Request:
    return lambda good: gateway_pb2.EncodeTextRequest(texts=values)


def gateway_classify(*images: bytes, **fields: Any) -> Request:
    return lambda good: gateway_pb2.ClassifyImageRequest(images=images, **fields)


def describe(*images: bytes, **fields: Any) -> Request:
    return lambda good: gateway_pb2.ImageToTextRequest(images=images, **fields)


def changed(encoding: encoding_pb2.Encoding, changes: dict[str, Any]) -> encoding_pb2.Encoding:
    """A copy with other fields."""
    fields = {"space": encoding.space, "vector": encoding.vector, "tokens": encoding.tokens} | changes
    return encoding_pb2.Encoding(token_width=fields.pop("token_width", encoding.token_width), **fields)


LONG = "x" * 5000
TEXT_FILE = b"this is not a picture\n" * 20
NAN_TOKENS = b"\x00\x7e" * 64

CASES: list[tuple[str, str, Request, grpc.StatusCode, str]] = [
    ("text", "no texts", texts(), INVALID, "texts"),
    ("text", "empty text", texts("a cat", ""), INVALID, "texts[1]"),
    ("text", "blank text", texts(" \t\n\u3000"), INVALID, "texts[0]"),
    ("text", "5,000 characters", texts("a cat", "a dog", LONG), INVALID, "texts[2]"),
    ("text", "65 texts", texts(*["a cat"] * 65), INVALID, "texts"),
    ("classification", "no images", classify(), INVALID, "images"),
    ("classification", "17 images", classify(*[GOOD] * 17), INVALID, "images"),
    ("classification", "text file", classify(GOOD, TEXT_FILE), INVALID, "images[1]"),
    ("classification", "truncated JPEG", classify(truncated_jpeg()), INVALID, "images[0]"),
    ("classification", "0 bytes", classify(b""), INVALID, "images[0]"),
    ("classification", "bomb", classify(GOOD, GOOD, bomb_png()), INVALID, "images[2]"),
    ("classification", "unknown language", classify(GOOD, language="tlh"), INVALID, "language"),
    ("generation", "no seeds", paint(0), INVALID, "seeds"),
    ("generation", "17 seeds", paint(17), INVALID, "seeds"),
    ("generation", "other space", paint(space="elsewhere"), PRECONDITION, ""),
    ("generation", "short vector", paint(vector=[1.0, 0.0]), INVALID, "encoding"),
    ("generation", "empty vector", paint(vector=[]), INVALID, "encoding"),
    ("generation", "NaN vector", paint(vector=[NAN] * 32), INVALID, "encoding"),
    ("generation", "infinite vector", paint(vector=[float("inf")] * 32), INVALID, "encoding"),
    ("captioning", "no encodings", caption(0), INVALID, "encodings"),
    ("captioning", "17 encodings", caption(17), INVALID, "encodings"),
    ("captioning", "other space", caption(2, space="elsewhere"), PRECONDITION, ""),
    ("captioning", "no tokens", caption(2, tokens=b"", token_width=0), INVALID, "encodings[1]"),
    ("captioning", "odd tokens", caption(tokens=b"\x00" * 7), INVALID, "encodings[0]"),
    ("captioning", "short vector", caption(vector=[1.0]), INVALID, "encodings[0]"),
    ("captioning", "NaN vector", caption(3, vector=[NAN] * 32), INVALID, "encodings[2]"),
    ("captioning", "NaN tokens", caption(tokens=NAN_TOKENS), INVALID, "encodings[0]"),
    ("captioning", "unknown language", caption(language="tlh"), INVALID, "language"),
    ("gateway", "empty prompt", prompt(""), INVALID, "prompt"),
    ("gateway", "blank prompt", prompt(" \u3000\n"), INVALID, "prompt"),
    ("gateway", "5,000 characters", prompt(LONG), INVALID, "prompt"),
    ("gateway", "17 seeds", prompt("a cat", seeds=range(17)), INVALID, "seeds"),
    ("gateway", "17 pictures", prompt("a cat", image_count=17), INVALID, "image_count"),
    ("gateway", "count unlike seeds", prompt("a cat", seeds=[1, 2], image_count=3), INVALID, "image_count"),
    ("gateway", "no texts", gateway_texts(), INVALID, "texts"),
    ("gateway", "65 texts", gateway_texts(*["a cat"] * 65), INVALID, "texts"),
    ("gateway", "blank text", gateway_texts("a cat", " "), INVALID, "texts[1]"),
    ("gateway", "classify no images", gateway_classify(), INVALID, "images"),
    ("gateway", "classify text file", gateway_classify(GOOD, TEXT_FILE), INVALID, "images[1]"),
    ("gateway", "classify unknown language", gateway_classify(GOOD, language="tlh"), INVALID, "language"),
    ("gateway", "describe no images", describe(), INVALID, "images"),
    ("gateway", "describe 17 images", describe(*[GOOD] * 17), INVALID, "images"),
    ("gateway", "describe text file", describe(TEXT_FILE), INVALID, "images[0]"),
    ("gateway", "describe truncated JPEG", describe(GOOD, truncated_jpeg()), INVALID, "images[1]"),
    ("gateway", "describe 0 bytes", describe(b""), INVALID, "images[0]"),
    ("gateway", "describe bomb", describe(bomb_png()), INVALID, "images[0]"),
    ("gateway", "describe 9 MiB", describe(b"\x89PNG" + bytes(9 << 20)), INVALID, "images[0]"),
    ("gateway", "describe unknown language", describe(GOOD, language="tlh"), INVALID, "language"),
]


def send(stubs: Stubs, server: str, request: Any) -> Awaitable[Any]:
    """The call whose request message it is."""
    stub = getattr(stubs, server)
    method = type(request).__name__.removesuffix("Request")
    call: Awaitable[Any] = getattr(stub, method)(request, timeout=CALL_SECONDS)
    return call


async def good_encodings(platform: Platform, connect: Connect) -> Encodings:
    """Fresh ones, from the services."""
    text = await text_encoding(connect(platform.text))
    return Encodings(text=text, image=await image_encoding(connect(platform.classification)))


GOOD_REQUESTS: dict[str, Request] = {
    "text": texts("a cat"),
    "classification": classify(GOOD),
    "generation": paint(),
    "captioning": caption(),
    "gateway": prompt("a cat"),
}


@pytest.mark.parametrize(
    ("server", "make", "code", "field"),
    [pytest.param(server, *case, id=f"{server}: {what}") for server, what, *case in CASES],
)
async def test_bad_input_is_refused_by_field_while_a_good_call_is_served(
    server: str, make: Request, code: grpc.StatusCode, field: str, platform: Platform, connect: Connect
) -> None:
    encodings = await good_encodings(platform, connect)
    stubs = connect(platform[server])

    end, good = await asyncio.gather(
        refusal(send(stubs, server, make(encodings))), send(stubs, server, GOOD_REQUESTS[server](encodings))
    )

    assert end.code == code, end
    assert (end.field.partition(".")[0], bool(end.description)) == (field, bool(field)), end
    assert field in end.message
    assert len(end.message) < 500, "the message repeats the input"
    assert good.IsInitialized()


async def test_space_mismatch_names_both_spaces(platform: Platform, connect: Connect) -> None:
    encodings = await good_encodings(platform, connect)

    end = await refusal(send(connect(platform.generation), "generation", paint(space="elsewhere")(encodings)))

    assert "'elsewhere'" in end.message
    assert "'tiny'" in end.message


@pytest.mark.parametrize(
    ("server", "bad"),
    [
        ("classification", classify(TEXT_FILE)),
        ("generation", paint(vector=[NAN] * 32)),
        ("captioning", caption(tokens=b"")),
    ],
)
async def test_bad_item_in_the_batch_of_good_ones_fails_alone(
    server: str, bad: Request, platform: Platform, connect: Connect
) -> None:
    encodings = await good_encodings(platform, connect)
    stubs = connect(platform[server])
    good = GOOD_REQUESTS[server](encodings)

    with frozen_model(platform[server]):
        first = send(stubs, server, good)
        await admitted(platform[server], in_batch=1, waiting=0)
        calls = [send(stubs, server, request) for request in (good, bad(encodings), good)]
        await admitted(platform[server], in_batch=1, waiting=3)
    await first
    left, end, right = await asyncio.gather(calls[0], refusal(calls[1]), calls[2])

    assert end.code == INVALID
    assert left.timings.batch_size == right.timings.batch_size == 3


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(1, 1), (8192, 1), (3, 500)], ids=str)
async def test_odd_picture_that_keeps_the_limits_is_described(
    size: tuple[int, int], file_format: str, platform: Platform, connect: Connect
) -> None:
    request = gateway_pb2.ImageToTextRequest(images=[picture_file(file_format, size)])

    answer = await connect(platform.gateway).gateway.ImageToText(request, timeout=CALL_SECONDS)

    assert answer.descriptions[0].labels


async def test_bomb_is_refused_from_its_header_without_memory(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.classification)
    request = classification_pb2.ClassifyImageRequest(images=[bomb_png()])
    reset_peak(platform.classification)
    before = peak_bytes(platform.classification)

    await asyncio.gather(
        *(refusal(stubs.classification.ClassifyImage(request, timeout=CALL_SECONDS)) for _ in range(10))
    )

    assert peak_bytes(platform.classification) - before < 64e6


def reset_peak(server: Server) -> None:
    """Lets both processes' peak memory begin at what they hold now."""
    for pid in (server.pid, server.model_pid()):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(server: Server) -> int:
    """Peak resident memory of front end and model process."""
    pids = (server.pid, server.model_pid())
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("server", ["classification", "gateway"])
async def test_message_over_the_limit_is_refused_and_the_server_lives(
    server: str, platform: Platform, connect: Connect
) -> None:
    stubs = connect(platform[server])
    make = gateway_classify if server == "gateway" else classify
    huge = make(bytes(65 << 20))

    end = await refusal(send(stubs, server, huge(None)))  # type: ignore[arg-type]

    assert end.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert psutil.pid_exists(platform[server].pid)
    assert await send(stubs, server, make(GOOD)(None))  # type: ignore[arg-type]


async def test_metadata_that_is_too_long_or_unknown_is_refused_by_its_key(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    request = text_encoding_pb2.EncodeTextRequest(texts=["a cat"])

    for key, value in (("x-request-id", "x" * 129), ("diptych-priority", "urgent"), ("diptych-caller", "x" * 129)):
        end = await refusal(stubs.text.EncodeText(request, metadata=((key, value),), timeout=CALL_SECONDS))

        assert (end.code, end.field) == (INVALID, key)
