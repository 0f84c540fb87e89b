"""Captions of scenes in English and Chinese, each with the exact facts that it states; some leave facts out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from services.training.data.scenes import chinese, english
from services.training.data.scenes.phrases import Chooser, first, phrase
from services.training.data.scenes.plan import stands
from services.training.data.scenes.truth import Fact, Group, Scene, SceneObject, group_facts, groups, kind_relations

BACKGROUND_SHARE = 0.7
COLOUR_SHARE = 0.9
"""Of the nouns whose colour is known, those that name it: a third of all nouns."""
VERB_SHARE = 0.8
RELATION_SHARE = 0.5

_PREFERENCE = ("in-front-of", "left-of", "above", "behind", "right-of", "under")


@dataclass(frozen=True, kw_only=True)
class SceneCaption:
    """A sentence about a scene and what it states, no more and no less."""

    text: str
    facts: frozenset[Fact]


def caption(scene: Scene, language: str, rng: random.Random) -> SceneCaption:
    """A random caption in `en` or `zh`: templates, synonyms, and which facts it leaves out are drawn."""
    said = [_thinned(group, rng) for group in groups(scene)]
    rng.shuffle(said)  # the order of a list says nothing of places
    names_background = rng.random() < BACKGROUND_SHARE or (len(said) == 1 and rng.random() < 0.95)
    relations = sorted(kind_relations(scene))
    relation = _draw_relation(relations, rng) if relations and rng.random() < RELATION_SHARE else None
    return _write(scene, said, relation, names_background, language, rng.choice, rng)


def canonical_caption(scene: Scene, language: str) -> SceneCaption:
    """The one wording that states all: every object with count, colour and verb, the background and one relation.

    Objects are named from left to right, those in the sky last.
    """
    said = list(groups(scene))
    order = [group.kind for group in said]
    relation = min(
        kind_relations(scene),
        key=lambda each: (_PREFERENCE.index(each[1]), order.index(each[0]), order.index(each[2])),
        default=None,
    )
    return _write(scene, said, relation, True, language, first, None)


def noun_phrase(obj: SceneObject, language: str, rng: random.Random) -> str:
    """One object in words: `a black cat`, `一只黑猫`."""
    return phrase(Group(kind=obj.kind, colour=obj.colour, verb=obj.verb, count=1), language, rng.choice)


def _thinned(group: Group, rng: random.Random) -> Group:
    return Group(
        kind=group.kind,
        colour=group.colour if rng.random() < COLOUR_SHARE else None,
        verb=group.verb if rng.random() < VERB_SHARE else None,
        count=group.count,
    )


def _draw_relation(relations: Sequence[tuple[str, str, str]], rng: random.Random) -> tuple[str, str, str]:
    """In front and behind hold less often, so they are said more often."""
    return rng.choices(relations, [3.0 if each[1] in ("in-front-of", "behind") else 1.0 for each in relations])[0]


def _write(
    scene: Scene,
    said: list[Group],
    relation: tuple[str, str, str] | None,
    names_background: bool,
    language: str,
    choose: Chooser,
    rng: random.Random | None,
) -> SceneCaption:
    standing = [group for group in said if stands(group.kind, scene.background) or scene.background in _AFLOAT]
    aloft = [group for group in said if group not in standing]
    place = scene.background if names_background else None
    facts: set[Fact] = set()
    for group in said:
        facts |= group_facts(group)
    if place:
        facts.add(Fact("background", (place,)))
    if language not in ("en", "zh"):
        raise ValueError(f"language is {language!r}; captions are written in en and zh")
    grammar = english if language == "en" else chinese
    over = _over_all(scene, standing, aloft)
    if rng is None:
        text = grammar.write_all(standing, aloft, place, relation, choose)
    elif relation is not None and rng.random() < 0.6:
        by_kind = {group.kind: group for group in said}
        subject, kind, other = relation
        rest = [group for group in said if group.kind not in (subject, other)]
        if language == "en":
            on = by_kind[subject] in standing
            text = english.write_relation(by_kind[subject], kind, by_kind[other], rest, place, choose, on=on)
        else:
            text = chinese.write_relation(by_kind[subject], kind, by_kind[other], rest, place, choose)
    elif relation is not None and not over:
        text = grammar.write_all(standing, aloft, place, relation, choose)
    elif over and rng.random() < 0.7:
        relation = None
        text = grammar.write_under(standing, over, place, choose)
        for group in aloft:
            if group != over:
                facts -= group_facts(group)
        facts |= {Fact("relation", (group.kind, "under", over.kind)) for group in standing}
    else:
        relation = None
        text = grammar.write_list(standing, aloft, place, choose)
    if relation is not None:
        facts.add(Fact("relation", relation))
    return SceneCaption(text=text, facts=frozenset(facts))


_AFLOAT = ("underwater", "space")
"""Where everything is simply in the place."""


def _over_all(scene: Scene, standing: Sequence[Group], aloft: Sequence[Group]) -> Group | None:
    """The one thing in the sky that everything else is under, if there is such."""
    relations = kind_relations(scene)
    for group in aloft:
        if standing and all((below.kind, "under", group.kind) in relations for below in standing):
            return group
    return None
