"""The commands `diptych train text|classification|captioning|generation`, made of their options' classes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

import typer

from services.training.own.options import (
    CaptioningOptions,
    ClassificationOptions,
    GenerationOptions,
    Options,
    TextOptions,
)
from shared.errors import ConfigurationError

Given = TypeVar("Given", bound=Options)


def add_commands(app: typer.Typer) -> None:
    """Adds the four commands."""
    app.command("text")(_command(TextOptions, _text))
    app.command("classification")(_command(ClassificationOptions, _classification))
    app.command("captioning")(_command(CaptioningOptions, _captioning))
    app.command("generation")(_command(GenerationOptions, _generation))


def _text(options: TextOptions) -> None:
    """Train a text encoder on captions of pictures of yours, for the space of an image encoder."""
    from services.training.own.text import train_text

    train_text(options)


def _classification(options: ClassificationOptions) -> None:
    """Train a classifier of your labels; from scratch, or with --tune all, it makes a new joint space."""
    from services.training.own.classification import train_classification

    train_classification(options)


def _captioning(options: CaptioningOptions) -> None:
    """Train a caption decoder on captions of pictures of yours, for the space of an image encoder."""
    from services.training.own.captioning import train_captioning

    train_captioning(options)


def _generation(options: GenerationOptions) -> None:
    """Train a generator on pictures of yours and their captions, for the space of a text encoder."""
    from services.training.own.generation import train_generation

    train_generation(options)


def _command(kind: type[Given], train: Callable[[Given], None]) -> Callable[..., None]:
    """A function with a parameter for each field of `kind`, as typer wants to see it."""
    hints = get_type_hints(kind, include_extras=True)
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]

    def command(**given: Any) -> None:
        try:
            train(kind(**given))
        except OSError as error:
            name = "" if error.filename is None else f"cannot use {os.fsdecode(error.filename)}: "
            raise ConfigurationError(f"{name}{error.strerror or error}") from None

    command.__doc__ = train.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command
