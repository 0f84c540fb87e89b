"""The flows: which model services a request passes through, in which order. Knows ports and messages only.

Deadline, request id and cancellation are ambient (`shared.rpc.context`, asyncio) and no business of a flow.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from diptych.gateway.v1 import gateway_pb2
from gateway.ports import Captioner, ImageClassifier, ImageGenerator, ModelService, TextEncoder
from shared.errors import FailedPreconditionError, InvalidArgumentError, UnavailableError

Response = TypeVar("Response")


async def text_to_image(
    prompt: str, *, seeds: Sequence[int], encoder: TextEncoder, generator: ImageGenerator
) -> gateway_pb2.TextToImageResponse:
    """Prompt -> encoding -> one picture a seed."""

    async def run(space: str | None) -> gateway_pb2.TextToImageResponse:
        with renamed_fields({"texts[0]": "prompt"}):
            encoded = await encoder.encode_text([prompt], space=space)
        painted = await generator.generate_image(encoded.message.encodings[0], seeds=seeds)
        return gateway_pb2.TextToImageResponse(
            images=[gateway_pb2.PaintedImage(image=each.image, seed=each.seed) for each in painted.message.images],
            stages=[encoded.stage, painted.stage],
        )

    return await in_one_space(run, encoder, generator)


async def image_to_text(
    images: Sequence[bytes], *, language: str, top_k: int, classifier: ImageClassifier, captioner: Captioner
) -> gateway_pb2.ImageToTextResponse:
    """Images -> labels and encodings, in one forward pass -> captions."""

    async def run(space: str | None) -> gateway_pb2.ImageToTextResponse:
        classified = await classifier.classify_image(
            images, top_k=top_k, language=language, include_encodings=True, space=space
        )
        seen = classified.message.classifications
        with renamed_fields({"encodings": "images"}):
            captioned = await captioner.generate_caption([each.encoding for each in seen], language=language)
        return gateway_pb2.ImageToTextResponse(
            descriptions=[
                gateway_pb2.ImageDescription(captions=said.captions, labels=each.labels)
                for said, each in zip(captioned.message.results, seen, strict=True)
            ],
            stages=[classified.stage, captioned.stage],
        )

    return await in_one_space(run, classifier, captioner)


async def classify_image(
    images: Sequence[bytes], *, language: str, top_k: int, classifier: ImageClassifier
) -> gateway_pb2.ClassifyImageResponse:
    """Images -> labels."""
    classified = await classifier.classify_image(
        images, top_k=top_k, language=language, include_encodings=False, space=None
    )
    return gateway_pb2.ClassifyImageResponse(
        results=[gateway_pb2.Labels(labels=each.labels) for each in classified.message.classifications],
        stages=[classified.stage],
    )


async def encode_text(texts: Sequence[str], *, encoder: TextEncoder) -> gateway_pb2.EncodeTextResponse:
    """Texts -> encodings."""
    encoded = await encoder.encode_text(texts, space=None)
    return gateway_pb2.EncodeTextResponse(encodings=encoded.message.encodings, stages=[encoded.stage])


async def in_one_space(run: Callable[[str | None], Awaitable[Response]], *services: ModelService) -> Response:
    """Runs a flow in a joint space that every service it needs serves; once more if that ceased to be true meanwhile.

    While a new model version is rolled out, each service has replicas of two spaces. Between the choice and the
    last call a replica may be replaced: it then refuses the encoding, or there is no replica of the space left.
    """
    space = choose_space(services)
    try:
        return await run(space)
    except (FailedPreconditionError, UnavailableError) as error:
        shared = shared_spaces(services)
        if isinstance(error, UnavailableError) and (space in shared or not shared):
            raise
        return await run(choose_space(services))


def choose_space(services: Sequence[ModelService]) -> str | None:
    """A joint space that all services serve, the likelier the more replicas stand behind it.

    None when no service serves at present: the calls themselves then wait, or fail with the reason.

    Raises:
        UnavailableError: the services serve, but no space in common.
    """
    if not any(service.spaces() for service in services):
        return None
    weights = shared_spaces(services)
    if not weights:
        served = "; ".join(f"{service.name}: {', '.join(service.spaces()) or 'none'}" for service in services)
        raise UnavailableError(f"no joint space is served by every service this call needs ({served})")
    return random.choices(list(weights), list(weights.values()))[0]


def shared_spaces(services: Sequence[ModelService]) -> dict[str, int]:
    """The spaces that all services serve, each with the replicas of its weakest service.

    A service without any serving replica has no say: its calls wait a moment for it to come back.
    """
    served = [spaces for service in services if (spaces := service.spaces())]
    if not served:
        return {}
    shared = frozenset.intersection(*(frozenset(spaces) for spaces in served))
    return {space: min(spaces[space] for spaces in served) for space in sorted(shared)}


@contextmanager
def renamed_fields(names: dict[str, str]) -> Iterator[None]:
    """Lets an InvalidArgumentError name the caller's fields: `{"encodings": "images"}` is for `encodings[3]` too."""
    try:
        yield
    except InvalidArgumentError as error:
        for theirs, ours in names.items():
            if error.field == theirs or error.field.startswith((f"{theirs}[", f"{theirs}.")):
                field = ours + error.field.removeprefix(theirs)
                raise InvalidArgumentError(str(error).replace(error.field, field), field=field) from None
        raise
