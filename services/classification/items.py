"""What crosses the pipe between the classification front end and its model process."""

from __future__ import annotations

from dataclasses import dataclass

from shared.encodings import Encoding

CONTENT = "content"
"""Stands for the head that says what a picture is of: objects where it is a scene, else concept."""


@dataclass(frozen=True, kw_only=True)
class ImageItem:
    """One picture to classify."""

    image: bytes
    """The file as the caller sent it."""
    top_k: int
    """Labels wanted of each head, at least 1."""
    language: str
    """One of the model's languages, or empty: labels then have no names. Of no account with `label_vectors`."""
    include_encoding: bool
    heads: tuple[str, ...] = ()
    """Heads to answer from, of the model's, or CONTENT; none: concept alone."""
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
class HeadScores:
    """The labels of one head."""

    head: str
    """Of CONTENT the head that it stood for."""
    labels: tuple[LabelScore, ...]
    """At most `top_k`, by falling probability."""


@dataclass(frozen=True, kw_only=True)
class ClassifiedImage:
    """The answer for one picture."""

    labels: tuple[LabelScore, ...]
    """At most `top_k`, by falling probability: of the first head, or of the caller's labels."""
    encoding: Encoding | None
    heads: tuple[HeadScores, ...] = ()
    """One for each of `ImageItem.heads`."""
