"""Arithmetic on what was seen: throughput, goodput, percentiles. No clock, no process."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.load.client import Ending
from tests.benchmarks.load.plan import Seen


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One load in numbers; times in milliseconds, NaN where there was no such call."""

    offered_per_second: float
    """Calls that ended (closed loop) or were due (open loop)."""
    answered_per_second: float
    """In time, where there is a deadline: the goodput."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    """Of the calls that were answered."""
    refused: float
    """Share of the calls that the server refused."""
    refusal_p50_ms: float
    refusal_p99_ms: float
    expired: float
    """Share of the calls whose deadline passed."""
    failed: int
    """Calls that ended otherwise."""
    server_cpu: float
    """Cores that the server's processes kept busy."""
    client_cpu: float
    """Of one core, by the process that called."""
    others_cpu: float
    """Cores that processes kept busy which have no part in it: noise, where it is not about 0."""
    client_late_p99_ms: float
    """How far behind its schedule the client was."""


def summary(seen: Seen, deadline_seconds: float | None) -> Summary:
    """Of one load. An answer after the deadline counts as expired, whoever sent it."""
    limit = math.inf if deadline_seconds is None else deadline_seconds
    calls = list(zip(seen.endings, seen.seconds, strict=True))
    answered = [seconds for ending, seconds in calls if ending is Ending.ANSWERED and seconds <= limit]
    refused = [seconds for ending, seconds in calls if ending is Ending.REFUSED]
    failed = seen.endings.count(Ending.FAILED)
    expired = len(calls) - len(answered) - len(refused) - failed
    total = max(1, len(calls))
    return Summary(
        offered_per_second=len(calls) / seen.measured_seconds,
        answered_per_second=len(answered) / seen.measured_seconds,
        p50_ms=1000 * percentile(answered, 50),
        p90_ms=1000 * percentile(answered, 90),
        p99_ms=1000 * percentile(answered, 99),
        refused=len(refused) / total,
        refusal_p50_ms=1000 * percentile(refused, 50),
        refusal_p99_ms=1000 * percentile(refused, 99),
        expired=expired / total,
        failed=failed,
        server_cpu=seen.server_cpu,
        client_cpu=seen.cpu,
        others_cpu=seen.others_cpu,
        client_late_p99_ms=1000 * percentile(seen.late, 99),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of them do not exceed (nearest rank); NaN of none."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, least and most of repeated runs."""
    return statistics.median(values), min(values), max(values)
