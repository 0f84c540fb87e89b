"""No held-out pair is in training, and the test scenes show them in a known share."""

from __future__ import annotations

from functools import cache

import pytest

from services.training.data.scenes.classes import COLOURS, object_classes
from services.training.data.scenes.composer import compose, compose_like
from services.training.data.scenes.plan import TEST_SHARE, Plan
from services.training.data.scenes.splits import held_out_backgrounds, held_out_colours, is_held_out
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Group, Scene
from tests.services.training.data.scenes.drawings import drawn, sprites

SEEDS = range(80)
"""Without the filter one scene in eight would show a held-out pair."""


@cache
def scenes_for_tests() -> list[Scene]:
    return [compose(seed, sprites(), split="test", side=64).scene for seed in range(200)]


def test_about_six_per_cent_of_the_pairs_are_held_out() -> None:
    classes = object_classes().values()
    places = sum(len(each.stances) for each in classes)
    colours = sum(each.paintable for each in classes) * len(COLOURS)
    assert 0.05 < len(held_out_backgrounds()) / places < 0.07
    assert 0.05 < len(held_out_colours()) / colours < 0.07


def test_every_class_keeps_at_least_two_backgrounds_and_six_colours() -> None:
    for kind, each in object_classes().items():
        lost = sum(pair[0] == kind for pair in held_out_backgrounds())
        assert lost == 0 or len(each.stances) - lost >= 2
        assert sum(pair[1] == kind for pair in held_out_colours()) <= 1


def test_no_held_out_pair_is_in_training_or_validation() -> None:
    for split in ("train", "validation"):
        assert not any(is_held_out(compose(seed, sprites(), split=split, side=64).scene) for seed in SEEDS)


def test_an_art_piece_that_is_drawn_in_a_held_out_colour_is_not_shown_as_drawn_in_training() -> None:
    colour, kind = next(pair for pair in sorted(held_out_colours()) if pair[0] in ("red", "blue", "green"))
    fill = {"red": (220, 30, 30), "blue": (30, 90, 220), "green": (40, 170, 60)}[colour]
    others = tuple(each for each in sprites().sprites if each.kind != kind)
    painted = drawn(kind, "noto", fill=fill)
    assert painted.colour == colour
    mixed = SpriteSet(sprites=(*others, painted))

    def shown(split: str, asked: str | None) -> str | None:
        plan = Plan(groups=(Group(kind=kind, colour=asked, verb=None, count=1),))
        return compose_like(plan, 0, mixed, split=split, side=64).scene.objects[0].colour

    assert shown("test", None) == colour
    assert shown("train", "black") == "black"
    with pytest.raises(ValueError, match=f"no scene shows {kind}"):
        shown("train", None)


def test_half_of_the_test_scenes_show_a_held_out_pair() -> None:
    share = sum(map(is_held_out, scenes_for_tests())) / len(scenes_for_tests())
    assert TEST_SHARE - 0.1 < share < TEST_SHARE + 0.1


def test_test_scenes_show_most_of_the_held_out_pairs() -> None:
    seen = set()
    for scene in scenes_for_tests():
        seen |= {(thing.kind, scene.background) for thing in scene.objects}
        seen |= {(thing.colour or "", thing.kind) for thing in scene.objects}
    held_out = held_out_backgrounds() | held_out_colours()
    assert len(seen & held_out) > 0.8 * len(held_out)
