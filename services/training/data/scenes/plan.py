"""What a scene is to show, before anything is placed: drawn at random, or read from the facts of a caption."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.splits import held_out_backgrounds, held_out_colours
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import STANDING, Fact, Group

MOST_OBJECTS = 5
TEST_SHARE = 0.5
"""Of the test scenes, those that are made around a held-out pair."""
PAINTED_SHARE = 0.45
"""Of the objects whose class takes colours, those that are repainted."""
KINDS = ((1, 0.10), (2, 0.42), (3, 0.34), (4, 0.14))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compose; None leaves the choice to chance."""

    groups: tuple[Group, ...]
    background: str | None = None
    style: str | None = None
    relations: tuple[tuple[str, str, str], ...] = ()
    """(kind, relation, kind) that must hold."""


def plan_from_facts(facts: Iterable[Fact]) -> Plan:
    """A plan that fulfils a caption's facts and shows no other kinds."""
    facts = sorted(frozenset(facts))
    kinds = [fact.value[0] for fact in facts if fact.kind == "object"]
    said = {(fact.kind, fact.value[0]): fact.value[1] for fact in facts if fact.kind in ("colour", "count", "verb")}
    groups = tuple(
        Group(
            kind=kind,
            colour=said.get(("colour", kind)),
            verb=said.get(("verb", kind)),
            count=int(said.get(("count", kind), "1")),
        )
        for kind in kinds
    )
    backgrounds = [fact.value[0] for fact in facts if fact.kind == "background"]
    relations = [fact.value for fact in facts if fact.kind == "relation"]
    return Plan(
        groups=groups,
        background=backgrounds[0] if backgrounds else None,
        relations=tuple((a, relation, b) for a, relation, b in relations),
    )


def draw_plan(rng: random.Random, sprites: SpriteSet, split: str) -> Plan:
    """A random plan of 1 to 4 kinds and at most 5 objects. Only `test` draws held-out pairs, in half of its plans."""
    background, style = rng.choice(BACKGROUNDS), rng.choice(sprites.styles)
    wanted: Group | None = None
    if split == "test" and rng.random() < TEST_SHARE:
        background, style, wanted = _held_out_start(rng, sprites)
    kinds = _kinds(rng, sprites, style, background, wanted.kind if wanted else None)
    groups, left = [], MOST_OBJECTS - len(kinds)
    for kind in kinds:
        count = 1
        if left and (wanted is None or kind != wanted.kind) and _may_repeat(kind, background) and rng.random() < 0.16:
            count = min(1 + left, rng.choice((2, 2, 3, 3, 4)))
            left -= count - 1
        if wanted is not None and kind == wanted.kind:
            groups.append(wanted)
        else:
            groups.append(Group(kind=kind, colour=_colour(rng, kind), verb=None, count=count))
    return Plan(groups=tuple(groups), background=background, style=style)


def may_show(kind: str, colour: str | None, background: str) -> bool:
    """Whether a training scene may show this."""
    return (kind, background) not in held_out_backgrounds() and (colour, kind) not in held_out_colours()


def _held_out_start(rng: random.Random, sprites: SpriteSet) -> tuple[str, str, Group]:
    """A background, a style and one group that together show a held-out pair."""
    classes = object_classes()
    while True:
        style = rng.choice(sprites.styles)
        if rng.random() < 0.5:
            kind, background = rng.choice(sorted(held_out_backgrounds()))
            colour = None
        else:
            colour, kind = rng.choice(sorted(held_out_colours()))
            background = rng.choice(list(classes[kind].stances))
        indices = sprites.of.get((style, kind), ())
        if indices and (colour is None or any(sprites.sprites[index].paintable for index in indices)):
            return background, style, Group(kind=kind, colour=colour, verb=None, count=1)


def _kinds(rng: random.Random, sprites: SpriteSet, style: str, background: str, wanted: str | None) -> list[str]:
    """Kinds that fit together: something that stands, at most one in the far third, at most two in the sky."""
    classes = object_classes()
    stances = {
        kind: each.stances[background]
        for kind, each in classes.items()
        if background in each.stances and (style, kind) in sprites.of and may_show(kind, None, background)
    }
    if wanted:
        stances[wanted] = classes[wanted].stances[background]
    number = rng.choices([each for each, _ in KINDS], [weight for _, weight in KINDS])[0]
    chosen = [wanted] if wanted else []
    while len(chosen) < number:
        taken = [stances[kind] for kind in chosen]
        limits = {"far": 1, "sky": 2 if number > 3 else 1}
        rest = [
            kind for kind, stance in stances.items()
            if kind not in chosen and taken.count(stance) < limits.get(stance, MOST_OBJECTS)
        ]  # fmt: skip
        if not any(stance not in ("sky", "far") for stance in taken):
            rest = [kind for kind in rest if stances[kind] not in ("sky", "far")] or rest
        if not rest:
            break
        # A class that is at home in many backgrounds would else be seen far more often than one of a single one.
        weights = [_weight(stances[kind]) / len(classes[kind].stances) ** 0.5 for kind in rest]
        chosen.append(rng.choices(rest, weights)[0])
    return chosen


def _weight(stance: str) -> float:
    return {"sky": 0.9, "far": 0.9}.get(stance, 1.0)


def _may_repeat(kind: str, background: str) -> bool:
    return object_classes()[kind].stances[background] != "far" and kind not in ("rainbow", "sun", "moon", "earth")


def _colour(rng: random.Random, kind: str) -> str | None:
    """A colour to paint it in, or None for as it is drawn."""
    if not object_classes()[kind].paintable or rng.random() > PAINTED_SHARE:
        return None
    return rng.choice(paints(kind, "train"))


def paints(kind: str, split: str) -> list[str]:
    """The colours a kind may be painted in."""
    return [colour for colour in COLOURS if split == "test" or (colour, kind) not in held_out_colours()]


def stands(kind: str, background: str) -> bool:
    """Whether a kind stands on the ground or the water there."""
    return object_classes()[kind].stances.get(background) in STANDING
