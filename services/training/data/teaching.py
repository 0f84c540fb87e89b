"""What building a lexicon needs: packages of words, and the two teachers to ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.training.data.concepts import read_concepts
from services.training.data.pack import Concept
from services.training.data.packages import obtain_packages
from services.training.data.sources import PACKAGES, TEXTS
from services.training.data.wordnet import PACKAGE
from services.training.teachers.space import Vectors
from services.training.teachers.text_teachers import (
    e5_teacher,
    e5_tokenizer,
    load_minilm,
    read_minilm_vocabulary,
    read_packaged_e5,
)
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What the teachers can be asked."""

    e5: Callable[[Sequence[str]], Vectors]
    """Texts -> (N, 384) of unit norm."""
    minilm: Callable[[Sequence[str]], Vectors]
    """English texts -> (N, 384) of unit norm."""
    pieces: Sequence[str]
    """E5's vocabulary: which Chinese words there are."""
    frequency: Callable[[Sequence[str]], Sequence[float]]
    """How common each word is: its log probability by E5's vocabulary."""
    known: Sequence[str]
    """MiniLM's vocabulary: which English words are common."""


def obtain_words(cache: Path, report: Callable[[str], None]) -> tuple[Path, tuple[Concept, ...]]:
    """Packages of words, downloaded once into `cache`: their `node_modules`, and the pictogram concepts.

    Raises ConfigurationError when a package cannot be had or is not the pinned one.
    """
    texts = [package for package in PACKAGES if package.name == TEXTS]
    node_modules = obtain_packages([*texts, PACKAGE], cache, report)
    return node_modules, tuple(drawn.concept for drawn in read_concepts(node_modules))


def load_teaching(device: str = "auto") -> Teaching:
    """Both packaged teachers, in bfloat16 where it is fast. Raises ConfigurationError when one is not installed."""
    runtime = resolve_runtime(RuntimeOptions(device=device))
    file = read_packaged_e5()
    e5 = e5_teacher(file, device=str(runtime.device), dtype=runtime.dtype)
    minilm = load_minilm(device=str(runtime.device), dtype=runtime.dtype)
    tokenize = e5_tokenizer(file, prefix="")
    scores = [score for _, score in file.pieces]

    def frequency(words: Sequence[str]) -> list[float]:
        return [sum(scores[piece] for piece in pieces[1:-1]) for pieces in tokenize(words)]

    return Teaching(
        e5=lambda texts: e5.embed(texts).numpy(),
        minilm=lambda texts: minilm.embed(texts).numpy(),
        pieces=[piece for piece, _ in file.pieces],
        frequency=frequency,
        known=read_minilm_vocabulary(),
    )
