"""What crosses the pipe between the classification front end and its model process."""

from __future__ import annotations

from dataclasses import dataclass

from shared.encodings import Encoding


@dataclass(frozen=True, kw_only=True)
class ImageItem:
    """One picture to classify."""

    image: bytes
    """The file as the caller sent it."""
    top_k: int
    """Labels wanted, at least 1."""
    language: str
    """One of the model's languages."""
    include_encoding: bool


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """One class with its probability."""

    id: str
    text: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class ClassifiedImage:
    """The answer for one picture: at most `top_k` labels by falling probability."""

    labels: tuple[LabelScore, ...]
    encoding: Encoding | None
