"""What crosses the pipe between the captioning front end and its model process."""

from __future__ import annotations

from dataclasses import dataclass

from shared.encodings import Encoding

WIDTHS = (1, 4, 8, 16)
"""Beams a picture. Few, so that all are warm, and so that what a call gets depends on its own candidates alone."""


def beams_for(candidates: int) -> int:
    """Beams that find so many captions."""
    return next((width for width in WIDTHS if width >= candidates), WIDTHS[-1])


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How captions are drawn; equal ones draw the same from one picture."""

    seed: int
    """0 to 2**64 - 1."""
    temperature: float
    """Above 0."""
    top_p: float
    """Above 0, up to 1."""


@dataclass(frozen=True, kw_only=True)
class CaptionItem:
    """One encoded picture to describe."""

    encoding: Encoding
    """With tokens, of the model's space."""
    language: str
    """One of the model's languages."""
    candidates: int = 1
    """Captions wanted, at least 1."""
    sampling: Sampling | None = None
    """None: the likeliest captions are searched for."""


@dataclass(frozen=True, kw_only=True)
class ScoredCaption:
    """One caption; `score` is the mean natural-log probability a token."""

    text: str
    score: float
