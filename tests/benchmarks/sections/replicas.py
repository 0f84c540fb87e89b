"""Capacity behind the gateway with one and with two replicas of a model that sleeps: what the second one adds."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks.effort import Bench, Driver, Result, numbers
from tests.benchmarks.server import gateway, serving

CALLERS = 160
"""Two batches for each of two replicas, and more."""
SECONDS = 2.5


def measure(bench: Bench) -> Result:
    """Texts a second by the number of replicas."""
    runs: list[Result] = []
    for start, usual in bench.starts():
        for count in (1, 2) if usual else (2, 1):
            bench.tell(f"{count}, start {start + 1}")
            with ExitStack() as stack:
                servers = [stack.enter_context(serving("simulated")) for _ in range(count)]
                targets = ",".join(server.address for server in servers)
                front = stack.enter_context(gateway({"text": targets}))
                driver = Driver(bench, front.address, {"task": "gateway"}, [front.pid])
                runs.append({"replicas": count, "start": start, **numbers(driver.closed(CALLERS, SECONDS))})
    return {"runs": runs}
