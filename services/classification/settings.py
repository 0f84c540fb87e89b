"""Settings of the classification service."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.inference.predictor import EnsembleMember, RuntimeOptions
from shared.settings import ModelServiceSettings


def read_ensemble(text: str) -> tuple[EnsembleMember, ...]:
    """The directories of `DIR=WEIGHT,DIR`, each with its weight.

    Raises:
        ValueError: one is not named, or has a weight that is no number above 0.
    """
    members = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, number = part.partition("=")
        try:
            weight = float(number) if equals else 1.0
        except ValueError:
            weight = math.nan
        if not (name.strip() and 0 < weight < math.inf):
            raise ValueError(f"{part!r} is no DIRECTORY or DIRECTORY=WEIGHT with a weight above 0")
        members.append(EnsembleMember(directory=Path(name.strip()), weight=weight))
    return tuple(members)


def _check_ensemble(text: str) -> str:
    read_ensemble(text)
    return text


class ClassificationSettings(ModelServiceSettings):
    """What the classification service adds to every model service's settings."""

    model_directory: Path = Path(__file__).parent / "weights"
    """Folder with `model.toml` and the weights; the embedded model when not set."""
    ensemble: Annotated[str, AfterValidator(_check_ensemble)] = ""
    """Further model directories, `DIR` or `DIR=WEIGHT` with commas: the heads' probabilities become a weighted mean."""
    max_images: int = Field(default=16, ge=1)
    """Images a call."""
    max_labels: int = Field(default=256, ge=1)
    """Label encodings of the caller's own a call (zero-shot)."""

    def runtime(self) -> RuntimeOptions:
        """The part that the model process needs, the ensemble included."""
        return replace(super().runtime(), ensemble=read_ensemble(self.ensemble))
