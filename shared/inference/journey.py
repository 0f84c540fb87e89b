"""Where a request was between its arrival and its answer: noted by the batcher, and told as spans of a trace.

A batch serves many requests, each of which may be in a trace of its own. Every one of them gets a span of the batch,
so that its trace is whole by itself, whoever is sampled besides; `diptych.batch.number` is the same in all of them, and
finds the others. A span of the batch alone, with links to its members, would be a trace of its own that no caller has
asked for, and links from each member to each would be 256 a batch of 16.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where traces are wanted
    from shared.tracing import Span


@dataclass(kw_only=True, eq=False, slots=True)
class Run:
    """A batch that the model was given, or the half of one that raised; times are of the batcher's clock."""

    number: int
    """Of the batches of this process, from 1."""
    size: int
    bucket: int
    """The size that it is padded to."""
    begin: float
    end: float | None = None
    """None while the model has it."""
    inference_begin: float | None = None
    """When the model process began to compute; None where it does not tell."""
    inference_seconds: float | None = None
    """None as long as it has not answered, and if it never does."""


@dataclass(kw_only=True, eq=False, slots=True)
class Journey:
    """A request's way, as far as it has come."""

    arrived: float | None = None
    """When it was admitted; None if it was refused."""
    runs: list[Run] = field(default_factory=list)
    """It was in: several if its items were not run together."""

    def enter(self, run: Run) -> None:
        """Notes a run that one more of its items is in."""
        if not self.runs or self.runs[-1] is not run:
            self.runs.append(run)


def tell_journey(call: Span, journey: Journey) -> None:
    """Makes spans of it below that of the call: `queue`, and for each run `batch`, with `inference` below.

    The journey is over, and the batcher's clock is `time.monotonic`.
    """
    if journey.arrived is None:
        return
    now = time.monotonic()
    queue = call.child("queue", begin=journey.arrived)
    queue.end(at=_begin(journey.runs[0]) if journey.runs else now)
    for run in journey.runs:
        attributes = {"number": run.number, "size": run.size, "bucket": run.bucket}
        batch = call.child(
            "batch",
            attributes={f"diptych.batch.{name}": value for name, value in attributes.items()},
            begin=_begin(run),
        )
        if run.inference_begin is not None and run.inference_seconds is not None:
            inference = batch.child("inference", begin=run.inference_begin)
            inference.end(at=run.inference_begin + run.inference_seconds)
        batch.end(at=now if run.end is None else run.end)


def _begin(run: Run) -> float:
    """A front end that was busy when the batch ahead of this one ended saw this one begin too late."""
    return run.begin if run.inference_begin is None else min(run.begin, run.inference_begin)
