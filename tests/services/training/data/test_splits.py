"""What is held out is in no training row: not the pair, not the concept, not a picture that looks the same."""

from __future__ import annotations

import csv
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from services.training.data import splits
from services.training.data.concepts import EVERYDAY_FILE
from services.training.data.drawings import normalise_hexcode
from services.training.data.pack import SPLITS
from services.training.data.scenes.classes import object_classes
from services.training.data.sources import FAMILIES
from services.training.data.splits import Drawing, pair_split, split_drawings, variants_group

TRAIN, VALIDATION, PAIR, CONCEPT = range(4)


@cache
def _many() -> tuple[tuple[Drawing, ...], NDArray[np.uint8]]:
    codes = [f"{0x1F400 + number:X}{turn}" for number in range(150) for turn in ("", "-200D-27A1")]
    drawings = [
        Drawing(hexcode=code, everyday=number < 60, family=family)
        for number, code in enumerate(codes)
        for family in FAMILIES
    ]
    blocks = np.random.default_rng(0).integers(0, 256, (len(drawings), 4, 4, 3), dtype=np.uint8)
    return tuple(drawings), blocks.repeat(16, axis=1).repeat(16, axis=2)


def many() -> tuple[list[Drawing], NDArray[np.uint8]]:
    """300 concepts, a fifth of them everyday ones and each in two directions, drawn once by every family."""
    drawings, pixels = _many()
    return list(drawings), pixels.copy()


def differences(pixels: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Least mean difference of each of `pixels` to `others`; the test's own reckoning, over all pixels."""
    small, smalls = pixels[:, ::16, ::16].astype(float), others[:, ::16, ::16].astype(float)
    return np.array([np.abs(smalls - one).mean(axis=(1, 2, 3)).min() for one in small])


def test_all_four_splits_are_used_in_about_the_wanted_shares() -> None:
    drawings, pixels = many()
    shares = np.bincount(split_drawings(drawings, pixels), minlength=4) / len(drawings)
    assert 0.02 < shares[VALIDATION] < 0.045 and 0.02 < shares[PAIR] < 0.045
    assert 0.03 < shares[CONCEPT] < 0.12


def test_no_held_out_pair_is_in_training() -> None:
    drawings, pixels = many()
    split = split_drawings(drawings, pixels)
    rows = {
        number: {(d.hexcode, d.family) for d, s in zip(drawings, split, strict=True) if s == number}
        for number in range(4)
    }
    assert rows[PAIR] and rows[VALIDATION]
    assert all(not rows[one] & rows[other] for one in rows for other in rows if one < other)


def test_no_row_of_a_held_out_concept_or_of_its_variants_is_in_training() -> None:
    drawings, pixels = many()
    split = split_drawings(drawings, pixels)
    groups = {
        number: {variants_group(d.hexcode) for d, s in zip(drawings, split, strict=True) if s == number}
        for number in range(4)
    }
    assert groups[CONCEPT]
    assert not groups[CONCEPT] & (groups[TRAIN] | groups[VALIDATION] | groups[PAIR])


def test_everyday_concepts_and_those_of_scenes_are_never_held_out_whole() -> None:
    drawings, pixels = many()
    drawings += [Drawing(hexcode="1F3C3-200D-2640", everyday=False, family=family) for family in FAMILIES]  # runs
    split = split_drawings(drawings, np.concatenate((pixels, pixels[:6])))
    assert not [
        d for d, s in zip(drawings, split, strict=True) if s == CONCEPT and (d.everyday or "1F3C3" in d.hexcode)
    ]


def test_no_test_picture_is_in_training_even_nearly() -> None:
    drawings, pixels = many()
    before = split_drawings(drawings, pixels)
    trained = np.flatnonzero(before == TRAIN)
    for number in (
        VALIDATION,
        PAIR,
        CONCEPT,
    ):  # one of each split becomes a copy of a training picture, but for a shade
        pixels[np.flatnonzero(before == number)[0]] = np.minimum(pixels[trained[number]], 254) + 1
    after = split_drawings(drawings, pixels)
    assert (after != before).any()
    assert differences(pixels[after != TRAIN], pixels[after == TRAIN]).min() > splits.TWIN_DISTANCE


def test_concept_with_a_twin_goes_back_to_training_with_its_variants() -> None:
    drawings, pixels = many()
    before = split_drawings(drawings, pixels)
    row = int(np.flatnonzero(before == CONCEPT)[0])
    pixels[row] = pixels[int(np.flatnonzero(before == TRAIN)[0])]
    after = split_drawings(drawings, pixels)
    group = variants_group(drawings[row].hexcode)
    assert {int(s) for d, s in zip(drawings, after, strict=True) if variants_group(d.hexcode) == group} == {TRAIN}


def test_concept_of_two_families_keeps_both() -> None:
    drawings, pixels = many()
    kept = [row for row, drawing in enumerate(drawings) if drawing.family in FAMILIES[:2]]
    split = split_drawings([drawings[row] for row in kept], pixels[kept])
    assert not set(split.tolist()) & {VALIDATION, PAIR}


def test_pair_is_chosen_by_its_hash_alone() -> None:
    drawings, pixels = many()
    some = split_drawings(drawings[:600], pixels[:600])
    pairs = {(d.hexcode, d.family): SPLITS[s] for d, s in zip(drawings, some, strict=False) if s in (VALIDATION, PAIR)}
    assert pairs and all(pair_split(*pair) == chosen for pair, chosen in pairs.items())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1F468-200D-1F33E", "1F9D1-200D-1F33E"),  # man farmer, farmer
        ("1F3C3", "1F3C3-200D-2640-200D-27A1"),  # person running, woman running facing right
        ("1F934", "1F478"),  # prince, princess
        ("1F46B", "1F9D1-200D-1F91D-200D-1F9D1"),  # couples holding hands
        ("1F48F", "1F469-200D-2764-200D-1F48B-200D-1F468"),  # kissing couples
        ("1F468-200D-1F466", "1F469-200D-1F469-200D-1F467-200D-1F466"),  # families
        ("1F466", "1F467"),  # boy, girl
    ],
)
def test_variants_by_gender_and_direction_are_of_one_group(one: str, other: str) -> None:
    assert variants_group(one) == variants_group(other)


def test_other_things_are_of_other_groups() -> None:
    codes = ("1F408", "1F408-200D-2B1B", "1F468-200D-1F33E", "1F468-200D-1F373", "1F468", "1F466", "1F468-200D-1F466")
    assert len({variants_group(code) for code in codes}) == len(codes)


def test_no_drawing_of_scenes_can_be_of_a_concept_held_out_whole() -> None:
    with EVERYDAY_FILE.open(encoding="utf-8", newline="") as lines:
        everyday = {normalise_hexcode(line["hex"]) for line in csv.DictReader(lines)}
    pieces = {piece.hexcode for each in object_classes().values() for piece in each.pieces}
    drawings = [Drawing(hexcode=code, everyday=code in everyday, family="noto") for code in sorted(everyday | pieces)]
    noise = np.random.default_rng(1).integers(0, 256, (len(drawings), 64, 64, 3), dtype=np.uint8)
    protected = splits.known_groups(drawings)
    assert {variants_group(code) for code in pieces} <= protected
    assert CONCEPT not in split_drawings(drawings, noise)
