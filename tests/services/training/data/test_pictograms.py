"""The pack is built the same each time, also when it was interrupted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from services.training.data.pack import write_pack
from services.training.data.pictograms import build_pack, fit
from services.training.data.sources import SOURCES, STYLES
from tests.services.training.data.art import APPLE, FOX, write_art

COLOURS = {FOX: "orange", APPLE: "red"}


def silent(style: str, done: int, total: int) -> None:
    """Hears nothing."""


def test_every_style_draws_every_concept_it_has(tmp_path: Path) -> None:
    pack = build_pack(write_art(tmp_path, COLOURS), tmp_path / "cache", silent)
    assert pack.styles == STYLES and len(pack.concepts) == 253
    drawn = [(pack.concepts[c].id, pack.styles[s]) for c, s in zip(pack.concept, pack.style, strict=True)]
    assert sorted(drawn) == sorted((name, style) for name in ("fox", "apple") for style in STYLES)
    assert (pack.pixels[:, 32, 32].min(axis=1) < 200).all()  # the drawing
    assert (pack.pixels[:, 0, 0] == 255).all() and (pack.alpha[:, 0, 0] == 0).all()  # the margin


def test_equal_drawings_make_equal_files(tmp_path: Path) -> None:
    files = []
    for name in ("one", "other"):
        pack = build_pack(write_art(tmp_path / name, COLOURS), tmp_path / name / "cache", silent)
        files.append(write_pack(pack, tmp_path / name / "pack").read_bytes())
    assert files[0] == files[1]


def test_interrupted_build_goes_on_with_the_style_it_was_in(tmp_path: Path) -> None:
    node_modules, heard = write_art(tmp_path, COLOURS), []

    def interrupt(style: str, done: int, total: int) -> None:
        heard.append((style, done, total))
        if style == SOURCES[2].style:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_pack(node_modules, tmp_path / "cache", interrupt)
    assert [style for style, _, _ in heard] == [*[SOURCES[0].style] * 3, *[SOURCES[1].style] * 3, SOURCES[2].style]
    again: list[str] = []
    resumed = build_pack(node_modules, tmp_path / "cache", lambda style, done, total: again.append(style))
    assert again[:5] == [SOURCES[0].style, SOURCES[1].style, *[SOURCES[2].style] * 3]
    whole = build_pack(node_modules, tmp_path / "other", silent)
    assert (resumed.pixels == whole.pixels).all() and (resumed.split == whole.split).all()


def test_drawing_fills_the_square_but_for_a_margin() -> None:
    picture = Image.new("RGBA", (256, 256))
    ImageDraw.Draw(picture).rectangle((100, 50, 149, 249), fill="blue")  # 50 x 200 pixels, off the middle
    alpha = fit(picture)[..., 3] > 128
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    assert (rows[0], rows[-1]) == (4, 59)  # 6 % of 64
    assert columns[0] + columns[-1] == 63 and len(columns) == pytest.approx(14, abs=1)
