"""`diptych image-to-text`, `diptych classify` and `diptych encode`: pictures and texts in, words and numbers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gateway.client import AsyncDiptych
from gateway.client.results import Classification, Description, Encoding, Label
from gateway.command_line.console import ExitCode, say
from gateway.command_line.inputs import PictureInput, TextInput
from gateway.command_line.listing import Listing, Source
from gateway.command_line.pictures import models_entry, told_captions, told_heads, told_labels
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
    heads: Sequence[str],
    sampling: Mapping[str, Any],
    as_json: bool,
    output: Path | None,
    concurrency: int,
    patience_seconds: float,
) -> ExitCode:
    """Captions and labels of each picture."""

    async def ask(images: Sequence[bytes]) -> list[Description]:
        return await diptych.image_to_text(
            images, language=language, candidates=candidates, top_k=labels, heads=heads, **sampling
        )

    listing = Listing[Description](
        diptych=diptych,
        ask=ask,
        record=lambda said: {
            "captions": [asdict(each) for each in said.captions],
            "labels": [asdict(each) for each in said.labels],
            **_heads_entry(heads, said.heads),
            **({} if said.seed is None else {"seed": said.seed}),
            "models": models_entry(said.stages),
        },
        words=None
        if as_json
        else lambda said: (
            f"{told_captions(said.captions)} ({told_heads(said.heads) if heads else told_labels(said.labels)})"
        ),
        parameters={"language": language, "candidates": candidates, "labels": labels} | _given(heads, sampling),
        options={"language": "--language", "candidates": "--candidates", "top_k": "--labels", "heads": "--heads"},
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
    heads: Sequence[str],
    as_json: bool,
    output: Path | None,
    concurrency: int,
    patience_seconds: float,
) -> ExitCode:
    """Labels of each picture, the model's own or the caller's."""

    async def ask(images: Sequence[bytes]) -> list[Classification]:
        return await diptych.classify_image(images, labels, language=language, top_k=top_k, heads=heads)

    listing = Listing[Classification](
        diptych=diptych,
        ask=ask,
        record=lambda said: {
            "labels": [asdict(each) for each in said.labels],
            **_heads_entry(heads, said.heads),
            "models": models_entry(said.stages),
        },
        words=None if as_json else lambda said: told_heads(said.heads) if heads else told_labels(said.labels),
        parameters={"labels": list(labels), "language": language, "top_k": top_k} | _given(heads, {}),
        options={"language": "--language", "labels": "--labels", "top_k": "--top-k", "heads": "--heads"},
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


def named_heads(given: str | None) -> list[str]:
    """The heads of `--heads objects,style`; which of them there are, the model knows."""
    return [] if given is None else [head for each in given.split(",") if (head := each.strip())]


def _given(heads: Sequence[str], sampling: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for beyond the usual: files of who asked for nothing more go on as they began."""
    said = {name: value for name, value in sampling.items() if value is not None}
    return said | ({"heads": list(heads)} if heads else {})


def _heads_entry(asked: Sequence[str], told: Mapping[str, Sequence[Label]]) -> dict[str, Any]:
    if not asked:
        return {}
    return {"heads": {head: [asdict(each) for each in labels] for head, labels in told.items()}}


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
