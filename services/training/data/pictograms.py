"""Builds the pictogram pack: everyday concepts, each drawn in up to seven styles, with an honest test split."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.data.pack import Concept, Pack
from services.training.data.sources import SOURCES, STYLES, normalise_hexcode, read_drawings, read_labels

PIXELS = 64
MARGIN = 0.06  # of the side, on each edge: sets fill their canvas differently, this gives all one scale
MINIMUM_STYLES = 5
HELD_OUT_SHARE = 0.06

CONCEPTS_FILE = Path(__file__).with_name("concepts.csv")


@dataclass(frozen=True, kw_only=True)
class _Row:
    hexcode: str
    concept: Concept


def build_pack(node_modules: Path, report: Callable[[str], None]) -> Pack:
    """Reads all drawings of the concepts in `concepts.csv`; `report` hears one line a style. Deterministic."""
    rows = _read_concepts(node_modules)
    drawings: dict[tuple[str, int], Image.Image] = {}
    for style, source in enumerate(SOURCES):
        found = dict(read_drawings(node_modules, source, [row.hexcode for row in rows]))
        drawings |= {(hexcode, style): picture for hexcode, picture in found.items()}
        missing = [row.concept.id for row in rows if row.hexcode not in found]
        report(f"{source.style}: {len(found)} of {len(rows)} concepts; without: {', '.join(missing) or 'none'}")
    rows = [row for row in rows if sum((row.hexcode, s) in drawings for s in range(len(SOURCES))) >= MINIMUM_STYLES]
    keys = [(c, s) for c, row in enumerate(rows) for s in range(len(SOURCES)) if (row.hexcode, s) in drawings]
    pixels, alpha = zip(*(_fit(drawings[rows[c].hexcode, s]) for c, s in keys), strict=True)
    stacked = np.stack(pixels)
    return Pack(
        pixels=stacked,
        alpha=np.stack(alpha),
        concept=np.array([c for c, _ in keys], dtype=np.int64),
        style=np.array([s for _, s in keys], dtype=np.int64),
        held_out=_held_out(stacked, [(rows[c].concept.id, SOURCES[s].family) for c, s in keys]),
        concepts=tuple(row.concept for row in rows),
        styles=STYLES,
    )


def _read_concepts(node_modules: Path) -> list[_Row]:
    records = {language: read_labels(node_modules, language) for language in ("en", "zh")}
    rows = []
    with CONCEPTS_FILE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            hexcode = normalise_hexcode(line["hex"])
            rows.append(_Row(hexcode=hexcode, concept=_concept(line, hexcode, records)))
    return rows


def _concept(line: dict[str, str], hexcode: str, records: dict[str, dict[str, dict[str, list[str]]]]) -> Concept:
    def tags(language: str) -> tuple[str, ...]:
        return tuple(records[language].get(hexcode, {}).get("tags", []))

    return Concept(
        id=line["en"].replace(" ", "-"),
        article="" if line["article"] == "-" else line["article"],
        en=line["en"],
        measure=line["measure"],
        zh=line["zh"],
        en_synonyms=tuple(filter(None, line["en_synonyms"].split("|"))),
        zh_synonyms=tuple(filter(None, line["zh_synonyms"].split("|"))),
        en_tags=tags("en"),
        zh_tags=tags("zh"),
    )


def _fit(picture: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crops to the drawing, pads to a square with MARGIN, and averages down: RGB on white and alpha."""
    box = picture.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox()
    cropped = picture.crop(box)
    side = round(max(cropped.size) / (1 - 2 * MARGIN))
    canvas = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    canvas.paste(cropped, ((side - cropped.width) // 2, (side - cropped.height) // 2))
    white = Image.new("RGBA", canvas.size, (255, 255, 255, 255))
    opaque = Image.alpha_composite(white, canvas).convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    alpha = canvas.getchannel("A").resize((PIXELS, PIXELS), Image.Resampling.BOX)
    return np.asarray(opaque), np.asarray(alpha)


def _held_out(pixels: NDArray[np.uint8], pairs: list[tuple[str, str]]) -> NDArray[np.bool_]:
    """True for rows of the chosen (concept, family) pairs, less those with a twin among the training pictures.

    A pair is chosen by its hash, at most one a concept, so that adding concepts moves no other pair.
    """
    chosen: set[tuple[str, str]] = set()
    for concept in dict.fromkeys(concept for concept, _ in pairs):
        families = sorted({family for name, family in pairs if name == concept})
        digest = hashlib.sha256(concept.encode()).digest()
        if digest[0] / 256 < HELD_OUT_SHARE * len(families):
            chosen.add((concept, families[digest[1] % len(families)]))
    held_out = np.array([pair in chosen for pair in pairs])
    thumbnails = pixels.reshape(len(pixels), 16, 4, 16, 4, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
    for row in np.flatnonzero(held_out):
        nearest = np.abs(thumbnails[~held_out] - thumbnails[row]).mean(axis=1).min()
        held_out[row] = nearest > 2.0  # of 255: a copy that one set took from another
    return held_out
