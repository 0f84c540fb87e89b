"""What is measured of each start of a server, Diptych's and a peer's alike."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.effort import Result, numbers
from tests.benchmarks.load.processes import pss_megabytes
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.environments import Unavailable
from tests.benchmarks.peers.subjects import DIPTYCH, Arena, Subject
from tests.benchmarks.sections.curves import points

FULL, ONE = 64, 1
FULL_SECONDS, ONE_SECONDS, HALF_SECONDS, OVER_SECONDS, SHIPPED_SECONDS = 2.0, 1.0, 1.5, 1.5, 1.5
FAILURES = (Unavailable, RuntimeError, ZeroDivisionError)
"""Of a peer: it does not start; calls hang; no two calls end in the time that is measured."""
CURVE_SHARES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.2, 2.0, 4.0)
"""Of Diptych's capacity, for all servers: curves are drawn over the same rates."""


def compare(arena: Arena, servers: Sequence[str], tasks: Sequence[str], settings: Sequence[str]) -> Result:
    """Fresh starts by turns; `runs`, and `absent` for what did not run.

    The rate that all servers are offered is half of what Diptych's first start could serve.
    """
    runs: list[Result] = []
    absent: list[Result] = []
    for start in range(arena.effort.starts):
        for setting in settings:
            for task in tasks:
                for server in servers if start % 2 == 0 else list(reversed(servers)):
                    run: Result = {"server": server, "task": task, "setting": setting, "start": start}
                    arena.tell(f"{server} {task} {setting}, start {start + 1}")
                    try:
                        with arena.subject(server, task, shipped=setting == "shipped") as subject:
                            run["first_answer_s"] = round(subject.seconds_to_first_answer, 2)
                            run |= _shipped(subject) if setting == "shipped" else _best(subject, rate(runs, task))
                    except FAILURES as error:
                        if server == DIPTYCH:
                            raise
                        absent.append(run | {"reason": _reason(error)})
                    else:
                        runs.append(run)
    return {"runs": runs, "absent": absent}


def _reason(error: Exception) -> str:
    return "too few of its calls ended to tell a rate" if isinstance(error, ZeroDivisionError) else str(error)


def rate(runs: Sequence[Result], task: str) -> float | None:
    """Half of the capacity of Diptych's first start; None before it."""
    for run in runs:
        if (run["server"], run["task"], run["setting"]) == (DIPTYCH, task, "best"):
            half: float = run["full"]["answered_per_second"] / 2
            return half
    return None


def _best(subject: Subject, same: float | None) -> Result:
    """A server that answers nothing at all has no capacity, and no shares of it."""
    driver = subject.driver
    full = driver.closed(FULL, FULL_SECONDS)
    capacity = full.answered_per_second
    if not capacity:
        raise Unavailable("none of its answers came in time")
    run: Result = {"full": numbers(full), "one": numbers(driver.closed(ONE, ONE_SECONDS))}
    run["half"] = numbers(driver.open(capacity / 2, HALF_SECONDS))
    run["same"] = run["half"] if same is None else numbers(driver.open(same, HALF_SECONDS))
    run["same_rate"] = round(same or capacity / 2, 1)
    before = pss_megabytes(subject.pids())
    run["over"] = numbers(driver.open(4 * capacity, OVER_SECONDS))
    run["pss_mb"] = [round(before, 1), round(pss_megabytes(subject.pids()), 1)]
    return run


def _shipped(subject: Subject) -> Result:
    return {"full": numbers(subject.driver.closed(FULL, SHIPPED_SECONDS))}


def curves(arena: Arena, servers: Sequence[str], tasks: Sequence[str]) -> Result:
    """Latency against load, one start each, for `plot`; Diptych goes first, since all get its rates."""
    found: list[Result] = []
    absent: list[Result] = []
    for task in tasks:
        rates: list[float] = []
        for server in servers:
            arena.tell(f"{server} {task}, curve")
            try:
                with arena.subject(server, task, shipped=False) as subject:
                    if not rates:
                        capacity = subject.driver.closed(FULL, FULL_SECONDS).answered_per_second
                        rates = [share * capacity for share in CURVE_SHARES]
                    name = "Diptych" if server == DIPTYCH else PEERS[server].title
                    found.append({"server": name, "task": task, "points": points(subject.driver, rates)})
            except FAILURES as error:
                absent.append({"server": server, "task": task, "setting": "best", "start": 0, "reason": _reason(error)})
    return {"curves": found, "absent": absent}
