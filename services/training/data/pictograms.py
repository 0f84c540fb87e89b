"""Builds the pictogram pack: 1,420 concepts, each drawn in up to eleven styles, with an honest test split."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.data.concepts import DrawnConcept, read_concepts
from services.training.data.drawings import RASTER_PIXELS, find_drawings, read_drawings
from services.training.data.pack import PIXELS, Pack
from services.training.data.sources import PACKAGES, SOURCES, STYLES, Source
from services.training.data.splits import Drawing, split_drawings

MARGIN = 0.06  # of the side, on each edge: sets fill their canvas differently, this gives all one scale

Report = Callable[[str, int, int], None]
"""Hears (style, pictures read, pictures to read) after each picture."""


def build_pack(node_modules: Path, cache: Path, report: Report) -> Pack:
    """Reads all drawings, a style at a time; a style whose pictures are in `cache` is not rasterised again.

    Deterministic: equal packages give an equal pack, with a cache or without.
    """
    concepts = read_concepts(node_modules)
    index = {one.hexcode: number for number, one in enumerate(concepts)}
    drawn = [_read_style(node_modules, cache, source, concepts, report) for source in SOURCES]
    concept = np.array([index[code] for codes, _ in drawn for code in codes], dtype=np.int64)
    style = np.repeat(np.arange(len(SOURCES)), [len(codes) for codes, _ in drawn])
    order = np.lexsort((style, concept))
    concept, style = concept[order], style[order]
    pictures = np.concatenate([pictures for _, pictures in drawn])[order]
    pixels = _on_white(pictures)
    drawings = [
        Drawing(hexcode=concepts[c].hexcode, everyday=concepts[c].everyday, family=SOURCES[s].family)
        for c, s in zip(concept, style, strict=True)
    ]
    return Pack(
        pixels=pixels,
        alpha=pictures[..., 3],
        concept=concept,
        style=style,
        split=split_drawings(drawings, pixels),
        concepts=tuple(one.concept for one in concepts),
        styles=STYLES,
    )


def _read_style(
    node_modules: Path, cache: Path, source: Source, concepts: Sequence[DrawnConcept], report: Report
) -> tuple[list[str], NDArray[np.uint8]]:
    """Hexcodes (N) and their pictures (N, 64, 64, 4), from the cache or drawn and put there."""
    drawings = find_drawings(node_modules, source, {one.hexcode: one.label for one in concepts})
    file = cache / "styles" / f"{source.style}-{_key(source, drawings)}.npz"
    if not file.exists():
        found: dict[str, NDArray[np.uint8]] = {}
        for hexcode, picture in read_drawings(node_modules, source, drawings):
            found[hexcode] = fit(picture)
            report(source.style, len(found), len(drawings))
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npz")
        np.savez_compressed(partial, hexcodes=np.array(list(found)), pictures=np.stack(list(found.values())))
        partial.replace(file)
    with np.load(file, allow_pickle=False) as arrays:
        hexcodes, pictures = arrays["hexcodes"].tolist(), arrays["pictures"]
    report(source.style, len(hexcodes), len(hexcodes))
    return hexcodes, pictures


def _key(source: Source, drawings: Mapping[str, str]) -> str:
    """Names all that a style's pictures depend on."""
    integrity = [one.integrity for one in PACKAGES if one.name == source.package]
    versions = [importlib.metadata.version(library) for library in ("resvg-py", "pillow")]
    parts = [*versions, RASTER_PIXELS, PIXELS, MARGIN, *integrity, *drawings.items()]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def fit(picture: Image.Image) -> NDArray[np.uint8]:
    """Crops an RGBA picture to its drawing, pads to a square with MARGIN, and averages down to (64, 64, 4)."""
    box = picture.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox()
    cropped = picture.crop(box)
    side = round(max(cropped.size) / (1 - 2 * MARGIN))
    canvas = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    canvas.paste(cropped, ((side - cropped.width) // 2, (side - cropped.height) // 2))
    return np.asarray(canvas.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS))  # weighs colours by their alpha


def _on_white(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 64, 64, 4) -> (N, 64, 64, 3)."""
    flat = np.empty((*pictures.shape[:3], 3), dtype=np.uint8)
    for row, picture in enumerate(pictures):  # one at a time: all as numbers with a point take gigabytes
        alpha = picture[..., 3:] / 255
        flat[row] = np.rint(picture[..., :3] * alpha + 255 * (1 - alpha))
    return flat
