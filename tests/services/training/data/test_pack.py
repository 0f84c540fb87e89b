"""The pack is one small file that gives back what was put in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.training.data.pack import SPLITS, Pack, read_pack, write_pack
from services.training.tiny import tiny_pack
from shared.errors import ConfigurationError


def drawn_pack() -> Pack:
    """The tiny pack with a red disc on white in place of noise, whose edges are soft."""
    across = np.arange(64) - 31.5
    disc = np.clip(25 - np.hypot(across, across[:, None]), 0, 1)  # (64, 64)
    alpha = np.repeat((disc * 255).round().astype(np.uint8)[None], len(tiny_pack().pixels), axis=0)
    colours = np.array([200, 30, 30]) * disc[..., None] + 255 * (1 - disc[..., None])
    pixels = np.repeat(colours.round().astype(np.uint8)[None], len(alpha), axis=0)
    return replace(tiny_pack(), pixels=pixels, alpha=alpha)


def test_pack_survives_being_written(tmp_path: Path) -> None:
    pack = drawn_pack()
    write_pack(pack, tmp_path)
    read = read_pack(tmp_path)
    assert read.concepts == pack.concepts and read.styles == pack.styles
    for one, other in ((read.concept, pack.concept), (read.style, pack.style), (read.split, pack.split)):
        assert one.dtype == other.dtype and (one == other).all()
    assert read.pixels.shape == pack.pixels.shape and read.alpha.shape == pack.alpha.shape
    assert np.abs(read.pixels.astype(int) - pack.pixels).mean() < 3
    assert np.abs(read.alpha.astype(int) - pack.alpha).max() <= 8


def test_equal_packs_are_equal_files(tmp_path: Path) -> None:
    one, other = (write_pack(drawn_pack(), tmp_path / name).read_bytes() for name in ("one", "other"))
    assert one == other


def test_only_rows_of_the_training_split_are_for_training() -> None:
    pack = tiny_pack()
    assert (pack.train == np.array([SPLITS[split] == "train" for split in pack.split])).all()
    assert 0 < pack.train.sum() < len(pack.train)


def test_folder_without_a_pack_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pictograms\.zip is no readable pack.*diptych data build"):
        read_pack(tmp_path)


def test_damaged_pack_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictograms.zip").write_bytes(b"no zip")
    with pytest.raises(ConfigurationError, match="no readable pack"):
        read_pack(tmp_path)


@pytest.mark.parametrize(
    ("name", "sided"),
    [
        ("clock-at-three-oclock", True), ("woman-walking-facing-right", True), ("leftwards-hand", True),
        ("first-quarter-moon", True), ("hand-pointing-left", True), ("alarm-clock", False), ("bright-button", False),
        ("fallen-leaves", False),
    ],
)  # fmt: skip
def test_what_a_mirror_makes_another_thing_of_is_sided(name: str, sided: bool) -> None:
    pack = tiny_pack()
    pack = replace(pack, concepts=(replace(pack.concepts[0], id=name), *pack.concepts[1:]))
    assert (pack.sided == ((pack.concept == 0) & sided)).all()


def test_what_there_is_a_second_of_that_faces_right_is_sided_too() -> None:
    pack = tiny_pack()
    first, second, *others = pack.concepts
    concepts = (replace(first, id="man-running"), replace(second, id="man-running-facing-right"), *others)
    assert (replace(pack, concepts=concepts).sided == (pack.concept < 2)).all()
