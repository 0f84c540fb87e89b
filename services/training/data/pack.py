"""The training pack: every picture and its words in one file that is small enough to carry anywhere."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.errors import ConfigurationError

FILE_NAME = "pictograms.zip"
PIXELS = 64
COLOUR_QUALITY = 90
_COLUMNS = 16
_SHEET = _COLUMNS * _COLUMNS

SPLITS = ("train", "validation", "test_pair", "test_concept")
"""Training; (concept, style family) pairs held out, in two halves; concepts held out with all their pictures."""

_SIDED = re.compile(r"clock-at|\b(?:left|right)(?:wards)?\b|crescent|quarter-moon|gibbous")
_TURNS = ("facing", "tilted")


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
    group: str
    """Unicode's group, such as `animals-nature`."""
    subgroup: str
    """Unicode's subgroup, such as `animal-mammal`."""


@dataclass(frozen=True, kw_only=True)
class Pack:
    """All pictures of all styles. Row i shows `concepts[concept[i]]` in `styles[style[i]]`."""

    pixels: NDArray[np.uint8]
    """(N, 64, 64, 3), RGB on white."""
    alpha: NDArray[np.uint8]
    """(N, 64, 64): where the drawing is, for other backgrounds."""
    concept: NDArray[np.int64]
    style: NDArray[np.int64]
    split: NDArray[np.uint8]
    """Indices into SPLITS; no model was trained on rows of the others than `train`."""
    concepts: tuple[Concept, ...]
    styles: tuple[str, ...]

    @property
    def train(self) -> NDArray[np.bool_]:
        """(N,) true for the rows to train on."""
        return np.equal(self.split, SPLITS.index("train"))

    @cached_property
    def sided(self) -> NDArray[np.bool_]:
        """(N,) true for the rows of things that a mirror makes another thing of: no training may mirror them.

        Clocks, phases of the moon, what is called left or right, and whatever has a second that faces or tilts right.
        """
        ids = {concept.id for concept in self.concepts}
        sided = [
            _SIDED.search(concept.id) is not None or any(f"{concept.id}-{turn}-right" in ids for turn in _TURNS)
            for concept in self.concepts
        ]
        return np.array(sided)[self.concept]


def write_pack(pack: Pack, folder: Path) -> Path:
    """Writes `pictograms.zip` into `folder` and returns it; equal packs give equal bytes.

    Pictures are stored in sheets of WebP: colours with a loss that the eye does not find, alpha in 16 steps.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{FILE_NAME}.partial"
    with zipfile.ZipFile(partial, "w") as archive:
        _add(archive, "pack.json", _words(pack))
        for start in range(0, len(pack.pixels), _SHEET):
            rows = slice(start, start + _SHEET)
            _add(archive, _sheet_name("pixels", start), _encode(pack.pixels[rows], quality=COLOUR_QUALITY))
            steps = ((pack.alpha[rows].astype(np.uint16) + 8) // 17 * 17).astype(np.uint8)
            _add(archive, _sheet_name("alpha", start), _encode(steps, lossless=True))
    partial.replace(folder / FILE_NAME)
    return folder / FILE_NAME


def read_pack(folder: Path) -> Pack:
    """Reads what `write_pack` wrote.

    Raises ConfigurationError when there is no pack, or one of another shape; `diptych data build` makes one.
    """
    try:
        with zipfile.ZipFile(folder / FILE_NAME) as archive:
            words = json.loads(archive.read("pack.json"))
            rows = len(words["concept"])
            pixels, alpha = (
                np.concatenate([_decode(archive.read(_sheet_name(kind, start))) for start in range(0, rows, _SHEET)])
                for kind in ("pixels", "alpha")
            )
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise ConfigurationError(
            f"{folder / FILE_NAME} is no readable pack ({error}); `diptych data build` makes one"
        ) from None
    return Pack(
        pixels=pixels[:rows],
        alpha=alpha[:rows, ..., 0],
        concept=np.array(words["concept"], dtype=np.int64),
        style=np.array(words["style"], dtype=np.int64),
        split=np.array(words["split"], dtype=np.uint8),
        concepts=tuple(_concept(one) for one in words["concepts"]),
        styles=tuple(words["styles"]),
    )


def _words(pack: Pack) -> bytes:
    words = {
        "styles": pack.styles,
        "concepts": [asdict(concept) for concept in pack.concepts],
        "concept": pack.concept.tolist(),
        "style": pack.style.tolist(),
        "split": pack.split.tolist(),
    }
    return json.dumps(words, ensure_ascii=False).encode()


def _concept(words: dict[str, Any]) -> Concept:
    return Concept(**{key: tuple(value) if isinstance(value, list) else value for key, value in words.items()})  # type: ignore[arg-type]  # json


def _sheet_name(kind: str, start: int) -> str:
    return f"{kind}/{start // _SHEET:03d}.webp"


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """With the same date for all, so that equal packs are equal files."""
    method = zipfile.ZIP_DEFLATED if name.endswith(".json") else zipfile.ZIP_STORED
    archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)


def _encode(pictures: NDArray[np.uint8], **options: int) -> bytes:
    """(B, 64, 64, 3) or (B, 64, 64), at most a sheet of them, -> one square picture, white where none is."""
    full = np.full((_SHEET, *pictures.shape[1:]), 255, dtype=np.uint8)
    full[: len(pictures)] = pictures
    tiles = full.reshape(_COLUMNS, _COLUMNS, *pictures.shape[1:]).swapaxes(1, 2)
    side = _COLUMNS * PIXELS
    file = io.BytesIO()
    Image.fromarray(tiles.reshape(side, side, *pictures.shape[3:])).save(file, "WEBP", method=4, **options)
    return file.getvalue()


def _decode(sheet: bytes) -> NDArray[np.uint8]:
    """-> (_SHEET, 64, 64, 3)."""
    picture = np.asarray(Image.open(io.BytesIO(sheet)).convert("RGB"))
    tiles = picture.reshape(_COLUMNS, PIXELS, _COLUMNS, PIXELS, 3).swapaxes(1, 2)
    return tiles.reshape(_SHEET, PIXELS, PIXELS, 3)
