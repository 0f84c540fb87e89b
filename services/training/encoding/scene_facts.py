"""Facts of scenes as targets: what a vector must tell, as a row of zeros and ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.training.data.scenes.truth import Fact, Scene

RELATIONS = ("left-of", "right-of", "in-front-of", "behind", "above", "under")
COUNTS = ("2", "3", "4", "5")


@dataclass(frozen=True, kw_only=True)
class FactIndex:
    """Which column of the target stands for which fact.

    Presence of each class; (class, colour); (class, count); background; and of a relation its (class, relation) and its
    (relation, class), since most triples never occur in training.
    """

    kinds: Sequence[str]
    colours: Sequence[str]
    backgrounds: Sequence[str]

    @property
    def width(self) -> int:
        """Columns."""
        return len(self.kinds) * (1 + len(self.colours) + len(COUNTS) + 2 * len(RELATIONS)) + len(self.backgrounds)

    @property
    def unordered(self) -> int:
        """Columns before those of relations."""
        return len(self.kinds) * (1 + len(self.colours) + len(COUNTS)) + len(self.backgrounds)

    def columns(self, facts: Iterable[Fact]) -> list[int]:
        """The columns of facts; those of other kinds, such as verbs, have none."""
        kinds, colours, backgrounds = len(self.kinds), len(self.colours), len(self.backgrounds)
        after_colours = kinds * (1 + colours)
        after_counts = after_colours + kinds * len(COUNTS)
        found = []
        for fact in facts:
            value = fact.value
            if fact.kind == "object":
                found.append(self.kinds.index(value[0]))
            elif fact.kind == "colour":
                found.append(kinds + self.kinds.index(value[0]) * colours + self.colours.index(value[1]))
            elif fact.kind == "count" and value[1] in COUNTS:
                found.append(after_colours + self.kinds.index(value[0]) * len(COUNTS) + COUNTS.index(value[1]))
            elif fact.kind == "background":
                found.append(after_counts + self.backgrounds.index(value[0]))
            elif fact.kind == "relation":
                relation = RELATIONS.index(value[1])
                first = after_counts + backgrounds
                found.append(first + self.kinds.index(value[0]) * len(RELATIONS) + relation)
                found.append(first + kinds * len(RELATIONS) + self.kinds.index(value[2]) * len(RELATIONS) + relation)
        return found

    def rows(self, facts: Sequence[Iterable[Fact]]) -> Tensor:
        """(B, width) of zeros and ones."""
        target = torch.zeros(len(facts), self.width)
        for row, some in enumerate(facts):
            target[row, self.columns(some)] = 1
        return target


def scene_facts(scene: Scene) -> frozenset[Fact]:
    """All that is true of objects, colours, counts and background; no relations."""
    kinds = [one.kind for one in scene.objects]
    facts = {Fact(kind="background", value=(scene.background,))}
    for one in scene.objects:
        facts.add(Fact(kind="object", value=(one.kind,)))
        if one.colour is not None:
            facts.add(Fact(kind="colour", value=(one.kind, one.colour)))
        if (count := kinds.count(one.kind)) > 1:
            facts.add(Fact(kind="count", value=(one.kind, str(count))))
    return frozenset(facts)
