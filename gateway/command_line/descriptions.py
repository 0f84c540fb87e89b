"""`diptych image-to-text`, `diptych classify` and `diptych encode`: pictures and texts in, words and numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.client import AsyncDiptych
from gateway.client.results import Classification, Description, Encoding
from gateway.command_line.console import ExitCode, say
from gateway.command_line.inputs import PictureInput, TextInput
from gateway.command_line.listing import Listing, Source
from gateway.command_line.pictures import models_entry, told_captions, told_labels
from shared.errors import ConfigurationError

FLOAT32_DIGITS = 9
"""As many as bring a 32-bit float back."""


async def image_to_text(
    diptych: AsyncDiptych,
    pictures: Sequence[PictureInput],
    *,
    language: str,
    candidates: int,
    labels: int,
    as_json: bool,
    output: Path | None,
    concurrency: int,
    patience_seconds: float,
) -> ExitCode:
    """Captions and labels of each picture."""

    async def ask(images: Sequence[bytes]) -> list[Description]:
        return await diptych.image_to_text(images, language=language, candidates=candidates, top_k=labels)

    listing = Listing[Description](
        diptych=diptych,
        ask=ask,
        record=lambda said: {
            "captions": [asdict(each) for each in said.captions],
            "labels": [asdict(each) for each in said.labels],
            "models": models_entry(said.stages),
        },
        words=None if as_json else lambda said: f"{told_captions(said.captions)} ({told_labels(said.labels)})",
        parameters={"language": language, "candidates": candidates, "labels": labels},
        options={"language": "--language", "candidates": "--candidates", "top_k": "--labels"},
        output=output,
        noun="picture",
        patience_seconds=patience_seconds,
    )
    async with diptych:
        return await listing.run(pictures, concurrency=concurrency)


async def classify(
    diptych: AsyncDiptych,
    pictures: Sequence[PictureInput],
    *,
    labels: Sequence[str],
    language: str,
    top_k: int,
    as_json: bool,
    output: Path | None,
    concurrency: int,
    patience_seconds: float,
) -> ExitCode:
    """Labels of each picture, the model's own or the caller's."""

    async def ask(images: Sequence[bytes]) -> list[Classification]:
        return await diptych.classify_image(images, labels, language=language, top_k=top_k)

    listing = Listing[Classification](
        diptych=diptych,
        ask=ask,
        record=lambda said: {"labels": [asdict(each) for each in said.labels], "models": models_entry(said.stages)},
        words=None if as_json else lambda said: told_labels(said.labels),
        parameters={"labels": list(labels), "language": language, "top_k": top_k},
        options={"language": "--language", "labels": "--labels", "top_k": "--top-k"},
        output=output,
        noun="picture",
        patience_seconds=patience_seconds,
    )
    async with diptych:
        return await listing.run(pictures, concurrency=concurrency)


async def encode(
    diptych: AsyncDiptych,
    texts: Sequence[str],
    pictures: Sequence[PictureInput],
    *,
    output: Path | None,
    concurrency: int,
    patience_seconds: float,
) -> ExitCode:
    """Points of the joint space, a JSON line each: first texts, then pictures."""

    async def ask(several: Sequence[Any]) -> list[Encoding]:
        encode_several = diptych.encode_text if isinstance(several[0], str) else diptych.encode_image
        return await encode_several(several)

    sources: list[Source] = [*(TextInput(text=text, place=place) for place, text in enumerate(texts)), *pictures]
    if not sources:
        raise ConfigurationError("nothing to encode; name texts, or pictures with --image")
    listing = Listing[Encoding](
        diptych=diptych,
        ask=ask,
        record=_encoding_entry,
        words=None,
        parameters={},
        options={},
        output=output,
        noun="input",
        patience_seconds=patience_seconds,
    )
    async with diptych:
        return await listing.run(sources, concurrency=concurrency)


def own_labels(given: str | None) -> list[str]:
    """The labels of `--labels "cat,dog"`, each once: twice it would share its probability with itself. None when it is
    not given.

    Raises:
        ConfigurationError: it holds no label.
    """
    if given is None:
        return []
    labels = [label for each in given.replace("，", ",").split(",") if (label := each.strip())]
    if not labels:
        raise ConfigurationError(f"--labels is {given!r}; write them with commas: cat,dog")
    once = list(dict.fromkeys(labels))
    if len(once) < len(labels):
        twice = [label for label in once if labels.count(label) > 1]
        say(f"--labels names {', '.join(twice)} more than once; taken once")
    return once


def _encoding_entry(encoding: Encoding) -> dict[str, Any]:
    vector = [float(f"{each:.{FLOAT32_DIGITS}g}") for each in encoding.vector]
    return {"space": encoding.space, "vector": vector, "models": models_entry(encoding.stages)}
