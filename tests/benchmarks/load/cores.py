"""Which cores a benchmark uses: the same for every server that is compared, and for the bare loop.

A server may use two cores as its kernel likes, and its model has one thread: one core for the model, one for all the
rest. Nothing inside a server is pinned, since servers differ in what they have: what suits two processes would starve
one with two busy threads. The client stays on the last core; where there are but two it shares that one with whatever
of the server is not the model, and its part is told beside each number.
"""

from __future__ import annotations

import os


def server_cores() -> set[int]:
    """Two, or what there is."""
    return set(sorted(os.sched_getaffinity(0))[:2])


def client_cores() -> set[int]:
    """The last one."""
    return {max(os.sched_getaffinity(0))}
