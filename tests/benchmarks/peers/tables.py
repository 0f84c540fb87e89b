"""Tables of `bench-peers`; `python -m tests.benchmarks.peers.tables` writes them anew into README.md here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.benchmarks.effort import Result
from tests.benchmarks.figures import LETTERS
from tests.benchmarks.load.summary import spread
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.figures import figures, goodput, group, throughput
from tests.benchmarks.peers.subjects import DIPTYCH
from tests.benchmarks.tables import Table, rewrite, where

README = Path(__file__).with_name("README.md")
NONE = "none"


def tables(result: Result) -> list[Table]:
    """All that a result has to tell."""
    runs = result.get("runs", [])
    found = [_figures(runs), *(_best(runs, task) for task in LETTERS), _shipped(runs), _absent(result["absent"])]
    return [table for table in found if table.rows]


def title(server: str) -> str:
    """What tables call it."""
    return "**Diptych**" if server == DIPTYCH else PEERS[server].title


def _figures(runs: Sequence[Result]) -> Table:
    rows = [(each.name, each.told(), each.told_goal(), "yes" if each.met else "no") for each in figures(runs)]
    return Table(title="Figures and goals", header=("figure", "measured", "goal", "met"), rows=rows)


def _best(runs: Sequence[Result], task: str) -> Table:
    header = (
        *("server", "64 callers, items/s", "CPU an item, ms", "1 caller, p50 / p99 ms", "50 % of its own: p99 ms"),
        *("50 % of Diptych's: p99 ms, in time", "400 %: goodput / capacity", "PSS, MB: before and after 400 %"),
        "first answer, s",
    )
    rows = [
        (
            title(server),
            _told([throughput(run) for run in found], 0),
            _median(found, lambda run: 1000 * run["full"]["server_cpu"] / max(1.0, throughput(run))),
            " / ".join(_median(found, partial(_one, key)) for key in ("p50_ms", "p99_ms")),
            _median(found, lambda run: run["half"].get("p99_ms")),
            f"{_median(found, lambda run: run['same'].get('p99_ms'))}, {_median(found, _in_time, 0)} %",
            _told([goodput(run) for run in found], 2),
            ", ".join(_median(found, partial(_pss, place), 0) for place in (0, 1)),
            _told([run["first_answer_s"] for run in found], 1),
        )
        for server, found in group(runs, task, "best").items()
    ]
    name = f"{LETTERS[task]}, fp32, one thread for the model, each server with its best batching"
    return Table(title=name, header=header, rows=rows)


def _one(key: str, run: Result) -> float | None:
    value: float | None = run["one"].get(key)
    return value


def _pss(place: int, run: Result) -> float:
    value: float = run["pss_mb"][place]
    return value


def _in_time(run: Result) -> float:
    share: float = run["same"]["answered_per_second"] / max(1.0, run["same"]["offered_per_second"])
    return 100 * share


def _shipped(runs: Sequence[Result]) -> Table:
    rows = [
        (LETTERS[task], title(server), _told([throughput(run) for run in found], 0))
        for task in LETTERS
        for server, found in group(runs, task, "shipped").items()
    ]
    name = "As shipped: threads, precision and batching by each server's own defaults"
    return Table(title=name, header=("module", "server", "64 callers, items/s"), rows=rows)


def _absent(absent: Sequence[Result]) -> Table:
    rows = [(title(each["server"]), each["task"], each["setting"], each["reason"]) for each in absent]
    return Table(title="What did not run", header=("server", "module", "setting", "reason"), rows=rows)


def _told(values: Sequence[float], digits: int) -> str:
    median, least, most = (f"{value:.{digits}f}" for value in spread(values))
    return f"{median} ({least} to {most})"


def _median(runs: Sequence[Result], value: Callable[[Result], float | None], digits: int = 1) -> str:
    values = [found for run in runs if (found := value(run)) is not None]
    return f"{statistics.median(values):.{digits}f}" if values else NONE


def page(result: Result) -> Iterator[str]:
    """The paragraphs of `results/bench-peers.json`."""
    yield where(result | {"sections": result["runs"]})
    for table in tables(result):
        yield table.markdown()


if __name__ == "__main__":
    rewrite(README, {"bench-peers": page})
