"""The calls of a soak: real flows whose answers are known from a first time, and bad input whose refusal is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from diptych.gateway.v1 import gateway_pb2
from tests.end_to_end.bad_input import Case, send
from tests.end_to_end.bad_input_of_gateway import CASES
from tests.end_to_end.calls import Stubs, refusal
from tests.end_to_end.pictures import picture_file
from tests.hostile_pictures import READ

PROMPTS = ("a cat", "a dog", "a red apple", "一只猫", "the sun", "a house with a tree beside it")
PICTURES = tuple(
    picture_file(kind, size) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP") for size in ((48, 40), (500, 700))
)
NO_ENCODINGS: Any = None
"""Of calls to services, which the gateway's table has none of."""

Essence = Callable[[Any], object]


class OtherwiseError(Exception):
    """An answer or a refusal that is not what it was before."""


def _painted(answer: Any) -> object:
    return [(each.image.seed, each.image.image.pixel_sha256) for each in sorted(answer, key=lambda each: each.index)]


def _pictures(answer: Any) -> object:
    return [(each.seed, each.image.pixel_sha256) for each in answer.images]


def _captions(answer: Any) -> object:
    return [[caption.text for caption in each.captions] for each in answer.descriptions]


def _vectors(answer: Any) -> object:
    return [len(each.vector) for each in answer.encodings]


def _number(answer: Any) -> object:
    return len(answer.results)


def _good() -> list[tuple[Any, Essence]]:
    """Requests, each with what of its answer must never change."""
    made: list[tuple[Any, Essence]] = []
    for number, prompt in enumerate(PROMPTS):
        made += [
            (gateway_pb2.TextToImageRequest(prompt=prompt, seeds=[number]), _pictures),
            (gateway_pb2.TextToImageRequest(prompt=prompt, seeds=[7, 8, 9], candidates=3, image_count=3), _sorted),
            (gateway_pb2.StreamTextToImageRequest(prompt=prompt, seeds=[number, number + 1]), _painted),
            (gateway_pb2.EncodeTextRequest(texts=[prompt, *PROMPTS]), _vectors),
        ]
    for picture in (*PICTURES, READ["runs"]()):
        made += [
            (gateway_pb2.ImageToTextRequest(images=[picture]), _captions),
            (gateway_pb2.ClassifyImageRequest(images=[picture, PICTURES[0]]), _number),
            (gateway_pb2.ClassifyImageRequest(images=[picture], labels=PROMPTS), _number),
            (gateway_pb2.EncodeImageRequest(images=[picture], include_tokens=True), _vectors),
        ]
    return made


def _sorted(answer: Any) -> object:
    """Of candidates: their order is that of similarities, which may be equal but for a rounding."""
    return sorted((each.seed, each.image.pixel_sha256) for each in answer.images)


class SoakCalls:
    """Draws calls and checks their ends.

    Args:
        stubs: of the gateway.
        chance: draws.
    """

    def __init__(self, stubs: Stubs, chance: random.Random) -> None:
        self._stubs = stubs
        self._chance = chance
        self._good = _good()
        self._bad: list[tuple[Case, Any]] = [(case, case.make(NO_ENCODINGS)) for case in CASES]
        self._expected: list[object] = []

    async def learn(self) -> None:
        """Makes each good call once."""
        self._expected = [essence(await send(self._stubs, "gateway", request)) for request, essence in self._good]

    async def good(self, seconds: float) -> None:
        """A good call; raises OtherwiseError when the answer is another than the first time, or gRPC's error."""
        at = self._chance.randrange(len(self._good))
        request, essence = self._good[at]
        found = essence(await send(self._stubs, "gateway", request, seconds))
        if found != self._expected[at]:
            raise OtherwiseError(f"{type(request).__name__}: {found!r} instead of {self._expected[at]!r}")

    async def bad(self) -> None:
        """Bad input; raises OtherwiseError when it is answered, or refused otherwise than it should be."""
        case, request = self._chance.choice(self._bad)
        try:
            end = await refusal(send(self._stubs, "gateway", request))
        except AssertionError as error:
            raise OtherwiseError(f"{case}: {error}") from None
        if (end.code.name, end.reason) != (case.reason.code.name, case.reason.name):
            raise OtherwiseError(f"{case}: {end}")
