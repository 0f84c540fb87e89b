"""Which (class, background) and (colour, class) pairs no training scene may show, chosen by hash."""

from __future__ import annotations

import hashlib
from functools import cache

from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.truth import Scene

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.06
MINIMUM_BACKGROUNDS = 3  # a class of one background would be gone from training altogether


@cache
def held_out_backgrounds() -> frozenset[tuple[str, str]]:
    """The held-out (class, background) pairs: 6 % of all; a class gives away at most one of its backgrounds."""
    pairs = [(kind, place) for kind, each in object_classes().items() for place in each.stances]
    wide = [pair for pair in pairs if len(object_classes()[pair[0]].stances) >= MINIMUM_BACKGROUNDS]
    return _first_by_hash(wide, round(HELD_OUT_SHARE * len(pairs)), one_each=0)


@cache
def held_out_colours() -> frozenset[tuple[str, str]]:
    """The held-out (colour, class) pairs: 6 % of all; a class gives away at most one of its colours."""
    pairs = [(colour, kind) for kind, each in object_classes().items() if each.paintable for colour in COLOURS]
    return _first_by_hash(pairs, round(HELD_OUT_SHARE * len(pairs)), one_each=1)


def is_held_out(scene: Scene) -> bool:
    """Whether a scene shows at least one pair that no training scene shows."""
    return any(
        (each.kind, scene.background) in held_out_backgrounds() or (each.colour, each.kind) in held_out_colours()
        for each in scene.objects
    )


def _first_by_hash(pairs: list[tuple[str, str]], count: int, *, one_each: int) -> frozenset[tuple[str, str]]:
    chosen: dict[str, tuple[str, str]] = {}
    for pair in sorted(pairs, key=lambda each: hashlib.sha256("/".join(each).encode()).digest()):
        if len(chosen) < count and pair[one_each] not in chosen:
            chosen[pair[one_each]] = pair
    return frozenset(chosen.values())
