"""Relations are what a person would say of these boxes, and facts speak of kinds."""

from __future__ import annotations

import pytest

from services.training.data.scenes.truth import (
    INVERSE,
    Fact,
    Scene,
    SceneObject,
    find_relations,
    groups,
    holds,
    true_facts,
)

Box = tuple[float, float, float, float]


def thing(kind: str, box: Box, stance: str = "ground", colour: str | None = None) -> SceneObject:
    return SceneObject(
        kind=kind, colour=colour, verb=None, stance=stance, box=box, depth=0.5, visible=500, mirrored=False, sprite=0
    )


def scene(*objects: SceneObject) -> Scene:
    return Scene(seed=0, style="noto", background="meadow", objects=objects, relations=find_relations(objects))


LEFT, RIGHT = (0.1, 0.6, 0.3, 0.8), (0.6, 0.6, 0.8, 0.8)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (thing("cat", LEFT), thing("dog", RIGHT), {"left-of"}),
        (thing("cat", RIGHT), thing("dog", LEFT), {"right-of"}),
        (thing("cat", (0.1, 0.6, 0.4, 0.9)), thing("dog", (0.2, 0.5, 0.5, 0.75)), {"in-front-of"}),
        (thing("cat", (0.1, 0.5, 0.3, 0.7)), thing("dog", (0.1, 0.6, 0.3, 0.72)), set()),  # feet side by side
        (thing("sun", (0.1, 0.1, 0.3, 0.3), "sky"), thing("dog", LEFT), {"above"}),
        (thing("dog", (0.1, 0.1, 0.3, 0.3)), thing("cat", LEFT), {"behind"}),  # farther, not above
        (thing("cat", (0.5, 0.6, 0.6, 0.8)), thing("rainbow", (0.2, 0.0, 0.8, 0.5), "sky"), {"under"}),
        (thing("cat", (0.0, 0.6, 0.1, 0.8)), thing("rainbow", (0.5, 0.0, 1.0, 0.5), "sky"), {"left-of"}),
    ],
)  # fmt: skip
def test_relations_are_what_a_person_would_say(first: SceneObject, second: SceneObject, expected: set[str]) -> None:
    assert {kind for kind in INVERSE if holds(first, kind, second)} == expected


def test_every_relation_is_told_both_ways_round() -> None:
    found = {
        (each.subject, each.kind, each.object) for each in scene(thing("cat", LEFT), thing("dog", RIGHT)).relations
    }
    assert found == {(0, "left-of", 1), (1, "right-of", 0)}


def test_a_relation_of_kinds_holds_for_each_of_them() -> None:
    middle = thing("cat", (0.4, 0.6, 0.6, 0.8))
    both_left = scene(thing("dog", LEFT), thing("dog", (0.0, 0.6, 0.15, 0.8)), middle)
    around = scene(thing("dog", LEFT), thing("dog", (0.7, 0.6, 0.9, 0.8)), middle)
    assert Fact("relation", ("dog", "left-of", "cat")) in true_facts(both_left)
    assert not any(fact.kind == "relation" for fact in true_facts(around))


def test_facts_tell_kinds_colours_counts_and_the_background() -> None:
    birds = [thing("bird", (0.1 * n, 0.6, 0.1 * n + 0.08, 0.8), colour="red") for n in range(3)]
    facts = {fact for fact in true_facts(scene(*birds)) if fact.kind != "relation"}
    assert facts == {
        Fact("object", ("bird",)), Fact("colour", ("bird", "red")), Fact("count", ("bird", "3")),
        Fact("background", ("meadow",)),
    }  # fmt: skip


def test_groups_come_from_left_to_right() -> None:
    assert [each.kind for each in groups(scene(thing("dog", RIGHT), thing("cat", LEFT)))] == ["cat", "dog"]
