"""A service's replicas, and what they answer in time: Diptych's queue with admission, as a fluid."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling.measured import Service
from tests.benchmarks.load.plan import DEADLINE_SECONDS

SCHEDULING_SECONDS = 2.0
"""Stated, not measured: from the new replica count to a pod on a node that has room."""
IMAGE_SECONDS = 30.0
"""Stated, not measured: to pull and unpack the service's image on a node that has not had it."""
READINESS_SECONDS = 5.0
"""The probe's period: a replica that serves is seen to do so that much later at worst."""
RESOLVE_SECONDS = 8.0
"""The gateway's look-up every 3 s (`DIPTYCH_RESOLVE_SECONDS`), behind a DNS server that keeps its answers for 5 s."""
ADMISSION_MARGIN = 1.15
"""Admission takes a call whose wait, that much longer, is still within its deadline (shared/inference/admission.py)."""


def start_seconds(service: Service, image_seconds: float = IMAGE_SECONDS) -> float:
    """From the new replica count to the first call that the replica answers."""
    return SCHEDULING_SECONDS + image_seconds + service.first_answer_seconds + READINESS_SECONDS + RESOLVE_SECONDS


@dataclass(slots=True)
class Counts:
    """Items, of some time."""

    offered: float = 0.0
    refused: float = 0.0
    """RESOURCE_EXHAUSTED or UNAVAILABLE, at once."""
    late: float = 0.0
    """Admitted, and answered after the deadline or not at all."""


@dataclass(kw_only=True)
class Fleet:
    """The replicas that there are, equally loaded; what waits is worked off first."""

    service: Service
    start_seconds: float
    ready: int
    counts: Counts = field(default_factory=Counts)
    replica_seconds: float = 0.0
    """Paid: from a pod's creation, ready or not."""
    _starting: deque[float] = field(default_factory=deque)
    """When each of the others will be ready, soonest first."""
    _waiting: float = 0.0

    @property
    def replicas(self) -> int:
        """Ready or starting."""
        return self.ready + len(self._starting)

    @property
    def starting(self) -> int:
        """Not ready yet."""
        return len(self._starting)

    def scale(self, replicas: int, now: float) -> None:
        """Of too many, those go first that are not ready, as a ReplicaSet has it. They answer what they admitted."""
        while self.replicas < replicas:
            self._starting.append(now + self.start_seconds)
        while self.replicas > replicas and self._starting:
            self._starting.pop()
        self.ready = min(self.ready, replicas)

    def serve(self, items: Sequence[float], total: float, peak: float, now: float) -> float:
        """The next seconds.

        Args:
            items: that arrive in each second; `total` is their sum and `peak` the most of one second.

        Returns:
            The load, in shares of the capacity that is ready.
        """
        while self._starting and self._starting[0] <= now:
            self._starting.popleft()
            self.ready += 1
        counts, seconds = self.counts, len(items)
        counts.offered += total
        self.replica_seconds += self.replicas * seconds
        capacity = self.ready * self.service.capacity
        if peak > capacity or self._waiting:
            self._queue(items, capacity)
        if not capacity:
            return float("inf") if total else 0.0
        return total / (capacity * seconds)

    def _queue(self, items: Sequence[float], capacity: float) -> None:
        room = capacity * DEADLINE_SECONDS / ADMISSION_MARGIN
        waiting, lost, overloaded = self._waiting, 0.0, 0.0
        for each in items:
            waiting += each
            # While it sheds, a replica does what was measured under overload.
            waiting -= min(waiting, capacity if waiting <= capacity + room else capacity * self.service.goodput)
            if waiting > room:
                lost += waiting - room
                overloaded += each
                waiting = room
        late = min(lost, overloaded * self.service.late)
        self._waiting = waiting
        self.counts.refused += lost - late
        self.counts.late += late
