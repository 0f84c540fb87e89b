"""What the gateway adds to a call that costs nothing; beside it a hop in grpc.aio that only passes bytes on."""

from __future__ import annotations

from contextlib import ExitStack

from tests.benchmarks.effort import Bench, Driver, Result, numbers
from tests.benchmarks.server import gateway, module_server

CALLERS = {1: 1.2, 64: 1.5}
"""With the seconds that each is measured."""


def measure(bench: Bench) -> Result:
    """The same prompts straight to the no-op service, through the plain hop and through the gateway, by turns."""
    runs: list[Result] = []
    for start, _ in bench.starts():
        bench.tell(f"start {start + 1}")
        with ExitStack() as stack:
            noop = stack.enter_context(module_server("tests.benchmarks.noop"))
            plain = stack.enter_context(module_server("tests.benchmarks.plain_hop", noop.address))
            front = stack.enter_context(gateway({"text": noop.address}))
            run: Result = {"start": start, "direct": {}, "plain": {}, "gateway": {}}
            for callers, seconds in CALLERS.items():
                for way, server, task in (
                    ("direct", noop, "prompt"),
                    ("plain", plain, "prompt"),
                    ("gateway", front, "gateway-prompt"),
                ):
                    driver = Driver(bench, server.address, {"task": task}, [server.pid])
                    run[way][str(callers)] = numbers(driver.closed(callers, seconds))
            runs.append(run)
    return {"runs": runs}
