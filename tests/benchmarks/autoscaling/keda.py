"""What KEDA adds to the autoscaler that it creates: from zero replicas to the first ones, and back.

Between `min_replicas` (at least 1) and `max_replicas` the HPA decides alone; it asks KEDA for each trigger's value at
every sync of its own and takes the largest proposal. Every time is in seconds, and `now` comes from the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling.hpa import Behavior, HorizontalPodAutoscaler

COOLDOWN_SECONDS = 300
"""KEDA's default."""


@dataclass(kw_only=True)
class ScaledObject:
    """A `ScaledObject` and the HPA underneath."""

    behavior: Behavior
    min_replicas: int
    max_replicas: int
    cooldown_seconds: int = COOLDOWN_SECONDS
    hpa: HorizontalPodAutoscaler = field(init=False)
    _active_at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.hpa = HorizontalPodAutoscaler(
            behavior=self.behavior, min_replicas=max(1, self.min_replicas), max_replicas=self.max_replicas
        )

    def poll(self, now: float, current: int, values: Sequence[float], activation: float = 0.0) -> int:
        """The replicas to set; a trigger is active above `activation`, and one active trigger is enough."""
        if any(each > activation for each in values):
            self._active_at = now
            return current or max(1, self.min_replicas)
        idle = now - self._active_at > self.cooldown_seconds
        return 0 if self.min_replicas == 0 and idle else current

    def sync(self, now: float, current: int, proposals: Sequence[int]) -> int:
        """What the HPA sets; at zero replicas it rests."""
        return self.hpa.sync(now, current, proposals) if current else 0
