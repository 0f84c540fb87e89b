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
    max_batch_size: int = 16
    """Of every server alike. A loop over batches of 32 is 5 to 25 % slower, for glibc hands their memory back after
    each and its pages are touched anew; only T in bf16 gains 4 %."""


MODULES = {
    "text": Module(letter="T", load=text.load, make_input=inputs.text),
    "classification": Module(letter="C", load=classification.load, make_input=inputs.jpeg),
    "generation": Module(letter="G", load=generation.load, make_input=inputs.vector),
}
