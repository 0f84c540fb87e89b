"""Where everything goes: the rules that make a page coherent. Knows boxes and stances, no pixels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.training.data.scenes.backgrounds import PLACES
from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.truth import INVERSE, STANDING, SceneObject, find_relations

Box = tuple[float, float, float, float]

OVERLAP = 0.22  # of the smaller box
CROWD = {1: 1.35, 2: 1.18, 3: 1.04, 4: 0.92, 5: 0.84}
"""Lone things are drawn larger than those in company."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to place."""

    kind: str
    stance: str
    aspect: float
    """Width through height of its sprite."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where an item came to be: its box in 0..1 of the side, its depth (0 far, 1 near)."""

    box: Box
    depth: float


def lay_out(
    rng: random.Random, background: str, items: Sequence[Item], wanted: Sequence[tuple[str, str, str]]
) -> list[Spot] | None:
    """Places all items so that the `wanted` (kind, relation, kind) hold; None when no try succeeded."""
    for attempt in range(60 if wanted else 24):
        spots = _try(rng, background, items, wanted, shrink=0.985**attempt)
        if spots is not None and _fulfilled(items, spots, wanted):
            return spots
    return None


def _try(
    rng: random.Random, background: str, items: Sequence[Item], wanted: Sequence[tuple[str, str, str]], shrink: float
) -> list[Spot] | None:
    spots: dict[int, Spot] = {}
    sizes = {index: object_classes()[item.kind].size * rng.uniform(0.93, 1.07) for index, item in enumerate(items)}
    order = sorted(
        sizes, key=lambda index: (items[index].kind != "rainbow", items[index].stance != "far", -sizes[index])
    )
    for index in order:
        scale = sizes[index] * CROWD[len(items)] * shrink
        for _ in range(14):
            spot = _propose(rng, background, items, index, scale, spots, wanted)
            if spot is not None and all(_clear(items, index, spot, other, spots[other], wanted) for other in spots):
                spots[index] = spot
                break
        else:
            return None
    return [spots[index] for index in range(len(items))]


def _propose(
    rng: random.Random,
    background: str,
    items: Sequence[Item],
    index: int,
    scale: float,
    spots: dict[int, Spot],
    wanted: Sequence[tuple[str, str, str]],
) -> Spot | None:
    item, place = items[index], PLACES[background]
    depth = rng.uniform(0.02, 0.3) if item.stance == "far" else rng.uniform(0.0, 1.0)
    partner = _partner(items, index, spots, wanted)
    if partner is not None and partner[0] in ("in-front-of", "behind"):
        near = spots[partner[1]].depth
        depth = rng.uniform(near + 0.2, 1.0) if partner[0] == "in-front-of" else rng.uniform(0.0, near - 0.2)
        if not 0 <= depth <= 1 or (item.stance == "far" and depth > 0.35):
            return None
    if item.stance in STANDING:
        scale *= 0.72 + 0.62 * depth
    height = scale / item.aspect**0.5
    width = height * item.aspect
    fit = min(1.0, 0.74 / width, _tallest(item, place.horizon) / height)
    width, height = width * fit, height * fit
    if max(width, height) < 0.15:
        return None
    x = rng.uniform(0.02, 0.98 - width)
    if partner is not None and partner[0] in ("in-front-of", "behind", "above", "under"):
        other = spots[partner[1]].box
        x = (other[0] + other[2]) / 2 - width / 2 + rng.uniform(-0.5, 0.5) * (other[2] - other[0])
        x = min(max(x, 0.02), 0.98 - width)
    if item.stance in STANDING:
        foot = place.far + (place.near - place.far) * depth
        return Spot(box=(x, foot - height, x + width, foot), depth=depth) if foot - height >= 0.02 else None
    if item.kind == "rainbow":
        foot = place.horizon + 0.01
        return Spot(box=(x, foot - height, x + width, foot), depth=0.0)
    low, high = {"sky": (0.03, place.horizon - 0.04), "swim": (0.05, 0.86), "drift": (0.04, 0.96)}[item.stance]
    if high - low < height:
        return None
    y = rng.uniform(low, high - height)
    return Spot(box=(x, y, x + width, y + height), depth=0.0 if item.stance == "sky" else y)


def _tallest(item: Item, horizon: float) -> float:
    if item.stance == "sky":
        return horizon - (0.0 if item.kind == "rainbow" else 0.1)
    return 0.66


def _partner(
    items: Sequence[Item], index: int, spots: dict[int, Spot], wanted: Sequence[tuple[str, str, str]]
) -> tuple[str, int] | None:
    """A wanted relation of this item to one that has its place."""
    for subject, relation, other in wanted:
        for placed in spots:
            if items[index].kind == subject and items[placed].kind == other:
                return relation, placed
            if items[index].kind == other and items[placed].kind == subject:
                return INVERSE[relation], placed
    return None


def _clear(
    items: Sequence[Item], index: int, spot: Spot, other: int, there: Spot, wanted: Sequence[tuple[str, str, str]]
) -> bool:
    """Whether two things leave each other to be seen."""
    if "rainbow" in (items[index].kind, items[other].kind):
        sky = items[index].stance == items[other].stance == "sky"
        return not sky or _overlap(spot.box, there.box) <= 0.3
    pair = {items[index].kind, items[other].kind}
    close = any(pair == {a, b} and relation in ("in-front-of", "behind") for a, relation, b in wanted)
    both_stand = items[index].stance in STANDING and items[other].stance in STANDING
    limit = 0.42 if close else OVERLAP if both_stand else 0.04
    if both_stand and _overlap(spot.box, there.box) > 0.03 and abs(spot.box[3] - there.box[3]) < 0.025:
        return False  # two things cannot stand on one spot
    return _overlap(spot.box, there.box) <= limit


def _overlap(a: Box, b: Box) -> float:
    """Shared area, as a part of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def _fulfilled(items: Sequence[Item], spots: Sequence[Spot], wanted: Sequence[tuple[str, str, str]]) -> bool:
    if not wanted:
        return True
    blank = SceneObject(kind="", colour=None, verb=None, stance="", box=(0, 0, 1, 1), depth=0, visible=0,
                        mirrored=False, sprite=0)  # fmt: skip
    objects = [
        replace(blank, kind=item.kind, stance=item.stance, box=spot.box)
        for item, spot in zip(items, spots, strict=True)
    ]
    return relations_hold(objects, wanted)


def relations_hold(objects: Sequence[SceneObject], wanted: Sequence[tuple[str, str, str]]) -> bool:
    """Whether every wanted relation holds for all objects of its two kinds."""
    found = {(each.subject, each.kind, each.object) for each in find_relations(objects)}
    return all(
        (i, relation, j) in found
        for a, relation, b in wanted
        for i, first in enumerate(objects)
        for j, second in enumerate(objects)
        if first.kind == a and second.kind == b
    )
