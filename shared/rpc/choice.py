"""Which of several replicas a call goes to; knows their loads and nothing else of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from shared.rpc.replica_load import ReplicaLoad

DEFAULT_ITEM_SECONDS = 0.01
"""Of replicas that have told nothing yet: about one small batch."""
ALIKE = 1.5
"""Replicas whose items take times within this factor count as equally fast. They measure themselves, and the noise of
that must not send every call of a quiet hour to the one that seems a hair faster."""


def choose(loads: Sequence[ReplicaLoad], now: float, chance: random.Random | None = None) -> int:
    """The index of the better of two picked by chance; of equals, the one that has waited longer for a call.

    Comparing two random ones spreads load nearly as well as comparing all, and does not send every
    gateway to the same idle newcomer at once (Mitzenmacher, The Power of Two Choices, 2001).
    """
    draw = chance.random if chance is not None else random.random
    one = int(draw() * len(loads))
    if len(loads) > 1:
        other = (one + 1 + int(draw() * (len(loads) - 1))) % len(loads)
        one = _better(loads, one, other, now)
    loads[one].chosen_at = now
    return one


def _better(loads: Sequence[ReplicaLoad], one: int, other: int, now: float) -> int:
    """Compares how long the calls from here and the queue told would take; which counts what others send.

    Own calls that the replica has told of count twice. That errs alike for all, and a newcomer that has told nothing
    gets as many calls as the others have, not all until its first answer.
    """
    first, second = loads[one], loads[other]
    first_item, second_item = first.item_seconds(now), second.item_seconds(now)
    # Who has not told is taken for as fast as the other.
    first_seconds = first_item or second_item or DEFAULT_ITEM_SECONDS
    second_seconds = second_item or first_seconds
    if first_seconds <= ALIKE * second_seconds and second_seconds <= ALIKE * first_seconds:
        second_seconds = first_seconds
    first_cost = first.queue_seconds(now) + (first.in_flight + 1) * first_seconds
    second_cost = second.queue_seconds(now) + (second.in_flight + 1) * second_seconds
    if first_cost == second_cost:
        return one if first.chosen_at <= second.chosen_at else other
    return one if first_cost < second_cost else other
