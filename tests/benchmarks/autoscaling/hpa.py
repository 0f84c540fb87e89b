"""The HorizontalPodAutoscaler's algorithm, as its documentation and KEP-853 describe it; knows no load and no server.

Modelled are the proposals of each metric type, the tolerance, pods that are not ready, the stabilisation windows and
the scaling policies of `autoscaling/v2`. Every time is in seconds, and `now` comes from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

SYNC_SECONDS = 15
"""`--horizontal-pod-autoscaler-sync-period`."""
TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`."""
LONGEST_PERIOD_SECONDS = 1800
"""That a policy may have."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How much may change within a period."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: int

    def limit(self, at_start: int, direction: int) -> int:
        """The replicas allowed at most (direction 1) or at least (-1), from those at the period's start."""
        if self.type == "Pods":
            return at_start + direction * self.value
        # Both round away from where they started: a percentage of few must not forbid every step.
        return math.ceil(at_start * (100 + self.value) / 100) if direction > 0 else at_start * (100 - self.value) // 100


@dataclass(frozen=True, kw_only=True)
class ScalingRules:
    """One direction of `behavior`."""

    stabilization_window_seconds: int
    policies: Sequence[Policy]
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"

    def limit(self, current: int, changes: Sequence[Change], now: float, direction: int) -> int:
        """The replicas allowed at most (direction 1) or at least (-1)."""
        if self.select_policy == "Disabled":
            return current
        limits = [policy.limit(_at_start(policy, current, changes, now), direction) for policy in self.policies]
        widest = (self.select_policy == "Max") == (direction > 0)
        limit = max(limits) if widest else min(limits)
        return max(limit, current) if direction > 0 else min(limit, current)


@dataclass(frozen=True, kw_only=True)
class Behavior:
    """`spec.behavior`."""

    scale_up: ScalingRules
    scale_down: ScalingRules


DEFAULT = Behavior(
    scale_up=ScalingRules(
        stabilization_window_seconds=0,
        policies=(
            Policy(type="Percent", value=100, period_seconds=15),
            Policy(type="Pods", value=4, period_seconds=15),
        ),
    ),
    scale_down=ScalingRules(
        stabilization_window_seconds=300, policies=(Policy(type="Percent", value=100, period_seconds=15),)
    ),
)
"""What Kubernetes does where `behavior` says nothing."""


class Change(NamedTuple):
    """A scaling that happened, or a number of replicas that was recommended."""

    at: float
    replicas: int


def average_value(total: float, target: float, replicas: int) -> int:
    """What a metric of `AverageValue` proposes: external or object, its value divided by the replicas.

    Neither ready nor starting replicas matter, but for the tolerance.
    """
    if replicas and _within(total / (target * replicas)):
        return replicas
    return math.ceil(_steady(total / target))


def value(measured: float, target: float, replicas: int, ready: int) -> int:
    """What a metric of `Value` proposes: external or object, compared as it is, times the replicas that are ready."""
    ratio = measured / target
    return replicas if _within(ratio) else math.ceil(_steady(ratio * ready))


def per_pod(measured: Sequence[float], target: float, replicas: int, *, unready: int = 0, missing: int = 0) -> int:
    """What a metric of type `Pods` or `Resource` proposes.

    Args:
        measured: one value a ready pod that has one.
        unready: pods that are not ready yet; only `Resource` with CPU tells them apart.
        missing: ready pods without a value.
    """
    if not measured:
        return replicas
    ratio = sum(measured) / len(measured) / target
    counted = list(measured)
    if not missing and not (unready and ratio > 1):
        return replicas if _within(ratio) else math.ceil(_steady(ratio * len(counted)))
    counted += [target if ratio < 1 else 0.0] * missing
    if ratio > 1:
        counted += [0.0] * unready
    cautious = sum(counted) / len(counted) / target
    if _within(cautious) or (ratio < 1) != (cautious < 1):
        return replicas
    proposed = math.ceil(_steady(cautious * len(counted)))
    turned = proposed > replicas if cautious < 1 else proposed < replicas
    return replicas if turned else proposed


@dataclass(kw_only=True)
class HorizontalPodAutoscaler:
    """One autoscaler's memory: what it recommended, and what it did."""

    behavior: Behavior
    min_replicas: int
    max_replicas: int
    _recommended: list[Change] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)

    def sync(self, now: float, current: int, proposals: Iterable[int]) -> int:
        """The replicas to set; of several metrics' proposals the largest counts."""
        if current > self.max_replicas:
            wanted = self.max_replicas
        elif current < self.min_replicas:
            wanted = self.min_replicas
        else:
            wanted = self._limited(now, current, self._stabilized(now, current, max(proposals)))
        if wanted != current:
            self._changes = [each for each in self._changes if each.at > now - LONGEST_PERIOD_SECONDS]
            self._changes.append(Change(now, wanted - current))
        return wanted

    def _stabilized(self, now: float, current: int, desired: int) -> int:
        """Within the lowest recommendation of the window upwards, and the highest of the one downwards."""
        up_from = now - self.behavior.scale_up.stabilization_window_seconds
        down_from = now - self.behavior.scale_down.stabilization_window_seconds
        self._recommended = [each for each in self._recommended if each.at > min(up_from, down_from)]
        lowest = min([each.replicas for each in self._recommended if each.at > up_from], default=desired)
        highest = max([each.replicas for each in self._recommended if each.at > down_from], default=desired)
        self._recommended.append(Change(now, desired))
        return min(max(current, min(lowest, desired)), max(highest, desired))

    def _limited(self, now: float, current: int, desired: int) -> int:
        """Within the policies and the bounds."""
        if desired > current:
            allowed = self.behavior.scale_up.limit(current, self._changes, now, 1)
            return min(desired, allowed, self.max_replicas)
        if desired < current:
            allowed = self.behavior.scale_down.limit(current, self._changes, now, -1)
            return max(desired, allowed, self.min_replicas)
        return current


def _at_start(policy: Policy, current: int, changes: Sequence[Change], now: float) -> int:
    return current - sum(each.replicas for each in changes if each.at > now - policy.period_seconds)


def _within(ratio: float) -> bool:
    return 1 - TOLERANCE <= _steady(ratio) <= 1 + TOLERANCE


def _steady(number: float) -> float:
    """Without the last bits, which would make 7.000000000000001 replicas eight; Kubernetes counts in thousandths."""
    return round(number, 9)
