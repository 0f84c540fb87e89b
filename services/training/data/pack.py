"""The training pack: every picture and its words in two files that are small enough to carry anywhere."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Concept:
    """One thing that is drawn, with its words in both languages."""

    id: str
    """Slug of the English name, such as `black-cat`."""
    article: str
    """`a`, `an`, `the`, or empty for plurals and substances."""
    en: str
    measure: str
    """The Chinese measure word, such as 只."""
    zh: str
    en_synonyms: tuple[str, ...]
    zh_synonyms: tuple[str, ...]
    en_tags: tuple[str, ...]
    """Loosely related words."""
    zh_tags: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Pack:
    """All pictures of all styles. Row i shows `concepts[concept[i]]` in `styles[style[i]]`."""

    pixels: NDArray[np.uint8]
    """(N, 64, 64, 3), RGB on white."""
    alpha: NDArray[np.uint8]
    """(N, 64, 64): where the drawing is, for other backgrounds."""
    concept: NDArray[np.int64]
    style: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    """Rows no model was trained on: all pictures of some (concept, style family) pairs."""
    concepts: tuple[Concept, ...]
    styles: tuple[str, ...]


def write_pack(pack: Pack, folder: Path) -> None:
    """Writes `pack.npz` and `pack.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "pack.npz",
        pixels=pack.pixels,
        alpha=pack.alpha,
        concept=pack.concept,
        style=pack.style,
        held_out=pack.held_out,
    )
    words = {"styles": pack.styles, "concepts": [asdict(concept) for concept in pack.concepts]}
    (folder / "pack.json").write_text(json.dumps(words, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_pack(folder: Path) -> Pack:
    """Reads what `write_pack` wrote.

    Raises FileNotFoundError when there is no pack; `train data build` makes one.
    """
    words = json.loads((folder / "pack.json").read_text("utf-8"))
    concepts = tuple(
        Concept(**{key: tuple(value) if isinstance(value, list) else value for key, value in concept.items()})  # type: ignore[arg-type]
        for concept in words["concepts"]
    )
    with np.load(folder / "pack.npz", allow_pickle=False) as arrays:
        return Pack(
            pixels=arrays["pixels"],
            alpha=arrays["alpha"],
            concept=arrays["concept"],
            style=arrays["style"],
            held_out=arrays["held_out"],
            concepts=concepts,
            styles=tuple(words["styles"]),
        )
