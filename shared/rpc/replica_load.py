"""What is known of a replica's load: the calls under way from here, and what its trailers told last.

News grows old. A queue is worked off as time passes; that a call would be too late is believed for a moment only; how
fast the replica is, for some seconds. What is not known counts in the replica's favour, so that it is asked, and tells.
Every time is in seconds, and `now` comes from the caller, on one clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from shared.rpc import metadata

BELIEVED_SECONDS = 0.25
"""How long a replica's word that a call would be too late keeps calls away from it. Whoever comes later is let through
and brings fresh news: four calls a second at most are asked in vain, and no wrong word lasts longer."""
REMEMBERED_SECONDS = 15.0
"""How long a replica that told of slow batches counts as slow, while nobody asks it."""
MAX_TERMS = 256
"""Callers, with their priorities, whose news is kept; what is old goes first."""

Terms = tuple[str, str]
"""Caller and priority of a call: with them a replica decides where in its queue the call would stand."""
Trailers = Iterable[tuple[str, str | bytes]]


class ReplicaLoad:
    """One replica's load, as one caller of it knows it."""

    __slots__ = ("_answer_at", "_item_seconds", "_item_told_at", "_queue_empty_at", "chosen_at", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        """Calls of this process under way."""
        self.chosen_at = 0.0
        """When a call was last sent here."""
        self._queue_empty_at = 0.0
        self._item_seconds = 0.0
        self._item_told_at = -REMEMBERED_SECONDS
        self._answer_at: dict[Terms, tuple[float, float]] = {}
        """By terms: when the replica told it, and until when it would answer."""

    def note(self, trailers: Trailers | None, terms: Terms, now: float) -> None:
        """Learns from the trailing metadata of an answer, or of an error, to a call on `terms`."""
        for key, value in trailers or ():
            if key in _TOLD:
                with contextlib.suppress(ValueError):  # a replica that misreports its load still answers
                    self._learn(key, float(value), terms, now)

    def _learn(self, key: str, seconds: float, terms: Terms, now: float) -> None:
        if key == metadata.QUEUE_SECONDS:
            self._queue_empty_at = now + seconds
        elif key == metadata.ITEM_SECONDS:
            self._item_seconds, self._item_told_at = seconds, now
        elif seconds > 0:
            self._answer_at[terms] = now, now + seconds
            if len(self._answer_at) > MAX_TERMS:
                self._forget(now)
        else:
            self._answer_at.pop(terms, None)

    def _forget(self, now: float) -> None:
        kept = sorted(self._answer_at.items(), key=lambda item: item[1][0])[MAX_TERMS // 2 :]
        self._answer_at = {terms: news for terms, news in kept if now - news[0] <= BELIEVED_SECONDS}

    def queue_seconds(self, now: float) -> float:
        """How long an item arriving now would wait: what the replica told last, less the time since."""
        return max(0.0, self._queue_empty_at - now)

    def item_seconds(self, now: float) -> float | None:
        """What one item takes where nothing is ahead of it; None if the replica has not told lately."""
        return self._item_seconds if now - self._item_told_at < REMEMBERED_SECONDS else None

    def answer_seconds(self, terms: Terms, now: float) -> float:
        """The shortest deadline that the replica would admit a call with; 0 where it is idle or that is not known."""
        told_at, answer_at = self._answer_at.get(terms, (0.0, 0.0))
        if now - told_at > BELIEVED_SECONDS or self._queue_empty_at <= now:
            return 0.0
        return max(0.0, answer_at - now)


_TOLD = frozenset((metadata.QUEUE_SECONDS, metadata.ITEM_SECONDS, metadata.ANSWER_SECONDS))
