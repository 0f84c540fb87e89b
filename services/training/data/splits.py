"""Which pictures no model may be trained on: some (concept, style family) pairs and some whole concepts.

Both are chosen by hashes of hexcodes, so that adding pictures moves no other, and so that scenes, which are composed
of the same drawings, can leave out the same ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.pack import SPLITS
from services.training.data.sources import FAMILIES

PAIR_SHARE = 0.058
"""Of (concept, family) pairs; those that concepts of few families cannot spare, and twins, go back to training."""
CONCEPT_SHARE = 0.08
"""Of groups of concepts that are not everyday ones, before twins go back to training."""
MINIMUM_FAMILIES = 2
"""A concept with a held-out pair keeps at least so many families to learn it from."""
TWIN_DISTANCE = 2.0
"""Of 255, mean over 16 x 16 pixels: a copy that one set took from another, or the same drawing of a variant."""

_TRAIN, _VALIDATION, _PAIR, _CONCEPT = range(len(SPLITS))

_PEOPLE = {"1F468": "P", "1F469": "P", "1F9D1": "P"}  # man, woman, person
_UNMARKED = ("200D", "2640", "2642", "27A1")  # joiner, woman's sign, man's sign, facing right
_KIN = (
    ("1F466", "1F467", "1F9D2"),  # boy, girl, child
    ("1F474", "1F475", "1F9D3"),  # old man, old woman, older person
    ("1F934", "1F478", "P-1F451", "1FAC5"),  # prince, princess, person with crown
    ("1F385", "1F936", "P-1F384"),  # santa, mrs claus, mx claus
    ("1F930", "1FAC3", "1FAC4"),  # pregnant people
    ("1F931", "P-1F37C"),  # feeding a baby
    ("1F483", "1F57A"),  # dancers
    ("1F46B", "1F46C", "1F46D", "P-1F91D-P"),  # couples holding hands
    ("1F48F", "P-2764-1F48B-P"),  # kissing couples
    ("1F491", "P-2764-P"),  # couples with a heart
)
_FIRST_OF_KIN = {member: kin[0] for kin in _KIN for member in kin}


_SCENE_PIECES = (
    "1F992", "1F42B", "1F995", "1F996", "1F9A9", "1F69A", "1FA90", "1F31E", "1FAD6", "1F4D5", "1F9F8", "26F7",
    "1F9CD", "1F3C3", "1F6B6", "1F57A", "1F6B4", "1F9D8",
)  # fmt: skip
"""Drawings of scenes beside everyday things: a concept that scenes teach cannot be held out."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What a split must know of a picture."""

    hexcode: str
    everyday: bool
    """Everyday concepts are what scenes are made of, so they are never held out whole."""
    family: str


def variants_group(hexcode: str) -> str:
    """One key for a concept and its variants by gender and direction: all farmers, all who run."""
    parts = [_PEOPLE.get(part, part) for part in hexcode.split("-") if part not in _UNMARKED]
    if len(parts) > 1 and set(parts) <= {"P", "1F466", "1F467", "1F9D2"}:
        return "family"
    return _FIRST_OF_KIN.get("-".join(parts), "-".join(parts))


def pair_split(hexcode: str, family: str) -> str:
    """The split of SPLITS that the hash of a (concept, style family) pair chooses; at most one family a concept."""
    digest = _digest(f"pair {hexcode}")
    if family != FAMILIES[digest[1] % len(FAMILIES)] or digest[0] >= PAIR_SHARE * len(FAMILIES) * 256:
        return "train"
    return "validation" if digest[2] % 2 else "test_pair"


def split_drawings(drawings: Sequence[Drawing], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N,) indices into SPLITS for pictures (N, 64, 64, 3); nothing outside of training has a twin within."""
    groups = np.array([variants_group(drawing.hexcode) for drawing in drawings])
    hexcodes = np.array([drawing.hexcode for drawing in drawings])
    split = np.array([SPLITS.index(pair_split(one.hexcode, one.family)) for one in drawings], dtype=np.uint8)
    _keep_enough_families(drawings, split)
    split[np.isin(groups, _whole_groups(drawings))] = _CONCEPT
    small, smaller = _thumbnails(pixels, 16), _thumbnails(pixels, 4)
    while len(twins := _twins(split, small, smaller)):
        for row in twins:
            together = groups == groups[row] if split[row] == _CONCEPT else hexcodes == hexcodes[row]
            split[together & (split == split[row])] = _TRAIN
    return split


def known_groups(drawings: Sequence[Drawing]) -> set[str]:
    """Groups of everyday concepts and of those that scenes show: never held out whole."""
    everyday = {variants_group(one.hexcode) for one in drawings if one.everyday}
    return everyday | {variants_group(code) for code in _SCENE_PIECES}


def _whole_groups(drawings: Sequence[Drawing]) -> list[str]:
    known = known_groups(drawings)
    groups = dict.fromkeys(variants_group(one.hexcode) for one in drawings)
    return [one for one in groups if one not in known and _digest(f"concept {one}")[0] < CONCEPT_SHARE * 256]


def _keep_enough_families(drawings: Sequence[Drawing], split: NDArray[np.uint8]) -> None:
    families: dict[str, set[str]] = {}
    for drawing in drawings:
        families.setdefault(drawing.hexcode, set()).add(drawing.family)
    for row, drawing in enumerate(drawings):
        if split[row] in (_VALIDATION, _PAIR) and len(families[drawing.hexcode]) <= MINIMUM_FAMILIES:
            split[row] = _TRAIN


def _twins(split: NDArray[np.uint8], small: NDArray[np.float32], smaller: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows outside of training that look like one within."""
    trained = np.flatnonzero(split == _TRAIN)
    found = []
    for row in np.flatnonzero(split != _TRAIN):
        # Averages differ by no more than what is averaged, so that the coarse picture rules most rows out at once.
        near = trained[np.abs(smaller[trained] - smaller[row]).mean(axis=1) <= TWIN_DISTANCE]
        if len(near) and np.abs(small[near] - small[row]).mean(axis=1).min() <= TWIN_DISTANCE:
            found.append(row)
    return np.array(found, dtype=np.int64)


def _thumbnails(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """(N, H, W, 3) -> (N, side * side * 3), averages."""
    factor = pixels.shape[1] // side
    blocks = pixels.reshape(len(pixels), side, factor, side, factor, 3)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32)
    return means.reshape(len(pixels), -1)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
