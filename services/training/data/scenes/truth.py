"""What a scene truly shows: objects with boxes, relations, background, and every fact a caption may state of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

INVERSE = {
    "left-of": "right-of",
    "right-of": "left-of",
    "in-front-of": "behind",
    "behind": "in-front-of",
    "above": "under",
    "under": "above",
}
"""Each relation with the one that holds the other way round."""

STANDING = ("ground", "far", "float")
"""Stances of things whose lower edge is where they stand, so that lower in the picture means nearer."""


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One thing in a scene."""

    kind: str
    """A class of `classes.csv`."""
    colour: str | None
    """One of the seven colours, or None where no single colour word fits."""
    verb: str | None
    """What it is drawn doing, such as `running`."""
    stance: str
    """`ground`, `far`, `float`, `sky`, `swim` or `drift`."""
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 of the visible pixels, in 0..1 of the side."""
    depth: float
    """0 is far, 1 is near."""
    visible: int
    """Visible pixels."""
    mirrored: bool
    sprite: int
    """Index into the sprite set's sprites."""


@dataclass(frozen=True, kw_only=True)
class Relation:
    """`objects[subject]` is `kind` (such as `left-of`) `objects[object]`."""

    subject: int
    kind: str
    object: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The structured truth beside a picture. All objects of one kind share colour and verb."""

    seed: int
    style: str
    background: str
    objects: tuple[SceneObject, ...]
    """Back to front."""
    relations: tuple[Relation, ...]
    """All that clearly hold, both ways round."""


@dataclass(frozen=True, order=True)
class Fact:
    """One statement: object (kind), colour (kind, colour), count (kind, number from 2), verb (kind, verb),
    relation (kind, relation, kind) or background (name)."""

    kind: str
    value: tuple[str, ...]


def find_relations(objects: Sequence[SceneObject]) -> tuple[Relation, ...]:
    """Every relation that a person would agree with, both ways round, from boxes and stances."""
    found = []
    for i, first in enumerate(objects):
        for j, second in enumerate(objects):
            if i != j:
                for kind in ("left-of", "in-front-of", "above"):
                    if holds(first, kind, second):
                        found.append(Relation(subject=i, kind=kind, object=j))
                        found.append(Relation(subject=j, kind=INVERSE[kind], object=i))
    return tuple(found)


def holds(first: SceneObject, kind: str, second: SceneObject) -> bool:
    """Whether `first` is clearly left-of, in-front-of or above `second`, or the inverse of one of these."""
    if kind in ("right-of", "behind", "under"):
        return holds(second, INVERSE[kind], first)
    a, b = first.box, second.box
    across = (b[0] + b[2] - a[0] - a[2]) / 2
    down = (b[1] + b[3] - a[1] - a[3]) / 2
    shared = (min(a[2], b[2]) - max(a[0], b[0])) / min(a[2] - a[0], b[2] - b[0])
    standing = first.stance in STANDING and second.stance in STANDING
    if kind == "left-of":
        return across >= 0.16 and abs(down) <= across and shared <= 0.3
    if kind == "in-front-of":
        return standing and shared >= 0.25 and a[3] - b[3] >= 0.05
    apart = (b[1] - a[3]) / min(a[3] - a[1], b[3] - b[1])
    if first.kind == "rainbow":  # everything on the ground below its arc is under it, near or far
        return standing is False and second.stance in STANDING and shared >= 0.5 and down >= 0.15
    return not standing and shared >= 0.4 and apart >= -0.25 and down >= 0.15


@dataclass(frozen=True, kw_only=True)
class Group:
    """All objects of one kind, as a caption speaks of them."""

    kind: str
    colour: str | None
    verb: str | None
    count: int


def groups(scene: Scene) -> tuple[Group, ...]:
    """The kinds of a scene from left to right."""
    ordered = sorted(scene.objects, key=lambda each: each.kind)
    by_kind = [tuple(members) for _, members in groupby(ordered, key=lambda each: each.kind)]
    by_kind.sort(key=lambda members: sum(each.box[0] + each.box[2] for each in members) / len(members))
    return tuple(
        Group(kind=each[0].kind, colour=each[0].colour, verb=each[0].verb, count=len(each)) for each in by_kind
    )


def group_facts(group: Group) -> frozenset[Fact]:
    """The facts of one noun phrase that says all."""
    facts = {Fact("object", (group.kind,))}
    if group.colour:
        facts.add(Fact("colour", (group.kind, group.colour)))
    if group.verb:
        facts.add(Fact("verb", (group.kind, group.verb)))
    if group.count > 1:
        facts.add(Fact("count", (group.kind, str(group.count))))
    return frozenset(facts)


def kind_relations(scene: Scene) -> frozenset[tuple[str, str, str]]:
    """(kind, relation, kind) where the relation holds for every pair of the two kinds."""
    pairs = {(each.subject, each.kind, each.object) for each in scene.relations}
    members: dict[str, list[int]] = {}
    for index, each in enumerate(scene.objects):
        members.setdefault(each.kind, []).append(index)
    return frozenset(
        (a, relation, b)
        for a in members
        for b in members
        if a != b
        for relation in INVERSE
        if all((i, relation, j) in pairs for i in members[a] for j in members[b])
    )


def true_facts(scene: Scene) -> frozenset[Fact]:
    """Everything a caption may state of a scene."""
    facts = {Fact("background", (scene.background,))}
    for group in groups(scene):
        facts |= group_facts(group)
    facts |= {Fact("relation", triple) for triple in kind_relations(scene)}
    return frozenset(facts)
