"""Scenes are reproducible, and their truth is what the picture shows."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.composer import ComposedScene, compose, compose_like
from services.training.data.scenes.plan import Plan, plan_from_facts
from services.training.data.scenes.truth import Group, true_facts
from tests.services.training.data.scenes.drawings import sprites


@cache
def composed() -> list[ComposedScene]:
    return [compose(seed, sprites()) for seed in range(60)]


def group(kind: str, colour: str | None = None, verb: str | None = None, count: int = 1) -> Group:
    return Group(kind=kind, colour=colour, verb=verb, count=count)


def test_equal_seeds_give_equal_scenes_and_other_seeds_others() -> None:
    first, again, other = compose(7, sprites()), compose(7, sprites()), compose(8, sprites())
    assert first.scene == again.scene
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.instances, again.instances)
    assert not np.array_equal(first.pixels, other.pixels)


def test_splits_share_no_scene() -> None:
    drawn = {compose(seed, sprites(), split=split).pixels.tobytes() for seed in range(20)
             for split in ("train", "validation", "test")}  # fmt: skip
    assert len(drawn) == 60


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'dev'"):
        compose(0, sprites(), split="dev")


def test_a_side_that_is_no_part_of_256_is_refused() -> None:
    with pytest.raises(ValueError, match="side is 100"):
        compose(0, sprites(), side=100)


@pytest.mark.parametrize("side", [64, 128, 256])
def test_pictures_and_masks_have_the_asked_side(side: int) -> None:
    scene = compose(3, sprites(), side=side)
    assert (scene.pixels.shape, scene.instances.shape) == ((side, side, 3), (side, side))
    assert scene.pixels.dtype == scene.instances.dtype == np.uint8


def test_boxes_and_visible_pixels_are_those_of_the_masks() -> None:
    for each in composed():
        for index, thing in enumerate(each.scene.objects):
            rows, columns = np.nonzero(each.instances == index + 1)
            assert thing.visible == len(rows) >= 40
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert thing.box == tuple(edge / 128 for edge in edges)
        assert each.instances.max() == len(each.scene.objects) <= 5


def test_everything_stands_where_its_background_has_a_place_for_it_and_nearer_things_are_lower() -> None:
    for each in composed():
        standing = [thing for thing in each.scene.objects if thing.stance in ("ground", "far", "float")]
        for thing in each.scene.objects:
            assert object_classes()[thing.kind].stances[each.scene.background] == thing.stance
        assert [thing.depth for thing in standing] == sorted(thing.depth for thing in standing)
        assert sum(thing.stance == "far" for thing in standing) <= 1


def test_no_object_is_tiny() -> None:
    for each in composed():
        for thing in each.scene.objects:
            assert max(thing.box[2] - thing.box[0], thing.box[3] - thing.box[1]) > 0.1


def test_an_object_is_painted_in_the_colour_that_the_truth_names() -> None:
    plan = Plan(groups=(group("cat", colour="blue"),), background="meadow", style="noto")
    scene = compose_like(plan, 0, sprites())
    inside = scene.pixels[scene.instances == 1].astype(int)
    assert scene.scene.objects[0].colour == "blue"
    assert np.median(inside[:, 2]) > np.median(inside[:, 0]) + 100


def test_a_plan_is_fulfilled_with_every_seed() -> None:
    plan = Plan(
        groups=(group("cat", colour="black"), group("dog"), group("bird", count=2)),
        background="meadow",
        relations=(("cat", "in-front-of", "dog"), ("bird", "left-of", "dog")),
    )
    pictures = set()
    for seed in range(12):
        scene = compose_like(plan, seed, sprites())
        facts = {(fact.kind, *fact.value) for fact in true_facts(scene.scene)}
        assert {("relation", "cat", "in-front-of", "dog"), ("relation", "bird", "left-of", "dog")} <= facts
        assert {("colour", "cat", "black"), ("count", "bird", "2"), ("background", "meadow")} <= facts
        assert len(scene.scene.objects) == 4
        pictures.add(scene.pixels.tobytes())
    assert len(pictures) == 12


def test_verbs_choose_the_drawing() -> None:
    plan = Plan(groups=(group("woman", verb="dancing"),))
    assert {compose_like(plan, seed, sprites()).scene.objects[0].verb for seed in range(5)} == {"dancing"}


def test_what_cannot_be_shown_is_an_error() -> None:
    with pytest.raises(ValueError, match="no scene shows whale"):
        compose_like(Plan(groups=(group("whale"),), background="street"), 0, sprites())
    with pytest.raises(ValueError, match="no scene shows whale, camel"):
        compose_like(Plan(groups=(group("whale"), group("camel"))), 0, sprites())


def test_a_scene_can_be_composed_again_from_all_its_facts() -> None:
    for seed in range(30):
        facts = true_facts(compose(seed, sprites(), side=64).scene)
        wanted = {fact for fact in facts if fact.kind != "relation"}
        again = compose_like(plan_from_facts(wanted), seed, sprites(), side=64).scene
        assert wanted <= true_facts(again)
