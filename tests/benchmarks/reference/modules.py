"""The reference modules by name: how to load each, what to send it, and the largest batch a server of it may form.

This package needs torch, numpy and Pillow and nothing of Diptych, so that every server compared runs this very code,
in whatever environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.reference import classification, generation, inputs, text

Run = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, kw_only=True)
class Module:
    """One reference module."""

    letter: str
    """What tables call it."""
    load: Callable[[str, int], Run]
    """`load(precision, threads)`, with `fp32` or `bf16`, gives the function from inputs to outputs."""
    make_input: Callable[[int], Any]
    """The input of a number; no two are alike."""
    max_batch_size: int
    """Of every server alike: beyond it the bare loop gains nothing in either precision."""


MODULES = {
    "text": Module(letter="T", load=text.load, make_input=inputs.text, max_batch_size=32),
    "classification": Module(letter="C", load=classification.load, make_input=inputs.jpeg, max_batch_size=32),
    "generation": Module(letter="G", load=generation.load, make_input=inputs.vector, max_batch_size=16),
}
