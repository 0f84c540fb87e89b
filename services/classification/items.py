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
    """One of the model's languages, or empty: labels then have no names. Of no account with `label_vectors`."""
    include_encoding: bool
    label_vectors: tuple[bytes, ...] | None = None
    """The caller's labels as points of the model's space, float32, little-endian; None for the model's own classes.

    All items of a call have the same object, which pickle sends once.
    """


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """One class, or label of the caller, with its probability."""

    id: str
    text: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class ClassifiedImage:
    """The answer for one picture: at most `top_k` labels by falling probability."""

    labels: tuple[LabelScore, ...]
    encoding: Encoding | None
