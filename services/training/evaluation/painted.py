"""What the judge finds of a prompt's facts in a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.training.data.scenes.truth import Fact
from services.training.evaluation.bootstrap import Estimate, ratio
from services.training.evaluation.judge import Judge, Judgement
from services.training.evaluation.scenes import judged_facts

ASPECTS = ("object", "colour", "background", "relation")
"""What a judge can see of what a prompt asks for, by the kinds of its facts."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """For each of N prompts and each aspect, how many facts there were to find, and how many were found."""

    asked: Mapping[str, NDArray[np.float64]]
    found: Mapping[str, NDArray[np.float64]]

    def share(self, aspect: str) -> Estimate:
        """Of the facts of all prompts."""
        return ratio(self.found[aspect], self.asked[aspect])

    def rates(self, aspect: str) -> NDArray[np.float64]:
        """(N,) the share of each prompt's own facts; not a number where it has none."""
        with np.errstate(invalid="ignore"):
            return self.found[aspect] / self.asked[aspect]


def score_pictures(judge: Judge, pixels: NDArray[np.uint8], facts: Sequence[frozenset[Fact]]) -> Scored:
    """(N, H, W, 3) pictures and what each should show."""
    judgements = judge.see(pixels)
    asked = {aspect: np.zeros(len(facts)) for aspect in ASPECTS}
    found = {aspect: np.zeros(len(facts)) for aspect in ASPECTS}
    for index, (seen, wanted) in enumerate(zip(judgements, facts, strict=True)):
        for fact in judged_facts(wanted):
            if fact.kind in ASPECTS:
                asked[fact.kind][index] += 1
                found[fact.kind][index] += is_seen(fact, seen)
    return Scored(asked=asked, found=found)


def is_seen(fact: Fact, seen: Judgement) -> bool:
    """Whether the judge agrees with one fact.

    An object is there; a colour is that of the object's cells; a relation needs both objects, and the order of their
    centres (left-of, right-of, above, under) or of their feet (in-front-of, behind).
    """
    match fact.kind, fact.value:
        case "object", (kind,):
            return kind in seen.objects
        case "colour", (kind, colour):
            return kind in seen.objects and seen.objects[kind].colour == colour
        case "background", (background,):
            return seen.background == background
        case "relation", (subject, relation, other):
            return subject in seen.objects and other in seen.objects and _stands(seen, subject, relation, other)
    raise ValueError(f"fact {fact}: expected one of {', '.join(ASPECTS)}")


def _stands(seen: Judgement, subject: str, relation: str, other: str) -> bool:
    one, two = seen.objects[subject], seen.objects[other]
    return {
        "left-of": one.x < two.x,
        "right-of": one.x > two.x,
        "above": one.y < two.y,
        "under": one.y > two.y,
        "in-front-of": one.foot > two.foot,
        "behind": one.foot < two.foot,
    }[relation]


def ratio_to_real(painted: Scored, real: Scored, aspect: str) -> Estimate:
    """What was found in painted pictures over what was found in real ones of the same prompts."""
    return ratio(painted.found[aspect], real.found[aspect])
