"""Tables of results, for the terminal and for README.md; `python -m tests.benchmarks.tables` writes those there anew.

A table stands between `<!-- results: NAME -->` and `<!-- end -->`, and is that of `results/NAME.json`; without the
file it stays as it is.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as RichTable

from tests.benchmarks.effort import Result
from tests.benchmarks.figures import (
    FULL,
    LETTERS,
    best_batch,
    busy_shares,
    figures,
    goodputs,
    groups,
    model_rates,
    ratios,
)
from tests.benchmarks.load.summary import spread

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS = HERE / "results"
_BLOCK = re.compile(r"(<!-- results: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a header."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def rich(self) -> RichTable:
        """For the terminal."""
        table = RichTable(*self.header, title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return f"{self.title}:\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(result: Result) -> list[Table]:
    """All that a result of `bench` has to tell."""
    runs = result["sections"].get("modules", {}).get("runs")
    return [_figures(result), *([_loads(runs), _overload(runs)] if runs else [])]


def where(result: Result) -> str:
    """On what it was measured, in a sentence."""
    machine, versions = result["machine"], result["versions"]
    noise = sorted(others(result["sections"])) or [0.0]
    return (
        f"{result['at']} UTC, commit {result['commit']}: {machine['cores']} cores of {machine['cpu']} "
        f"({', '.join(machine['flags'])}), Python {versions['python']}, PyTorch {versions['torch']}, "
        f"grpcio {versions['grpcio']}; {result['starts']} fresh starts. "
        f"Processes that have no part in it kept {statistics.median(noise):.2f} cores busy in the median load, "
        f"{noise[-1]:.2f} at most. Told are medians (least to most)."
    )


def others(part: object) -> Iterator[float]:
    """What each load of a result says of other processes."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name in ("others_cpu", "bare_others_cpu"):
                yield float(value)
            yield from others(value)
    elif isinstance(part, list):
        for value in part:
            yield from others(value)


def _figures(result: Result) -> Table:
    rows = [
        (figure.name, figure.told(), figure.told_goal(), "yes" if figure.met else "no") for figure in figures(result)
    ]
    return Table(title="Figures and goals", header=("figure", "measured", "goal", "met"), rows=rows)


def _loads(runs: Sequence[Result]) -> Table:
    header = (
        *("module", "bare loop, items/s (batch)", "64 callers, items/s", "/ bare"),
        *("model in the server, items/s", "model busy", "1 caller, p50 ms"),
        *("16 callers, items/s", "50 %: p50 / p99 ms", "90 %: p50 / p99 ms", "90 % in bursts: p99 ms, in time"),
    )
    rows = []
    for (task, precision), group in groups(runs).items():
        size = best_batch(group)
        row = [
            f"{LETTERS[task]} {precision}",
            f"{_told([run['bare'][size] for run in group], 0)}, {size}",
            _told([run["closed"][FULL]["answered_per_second"] for run in group], 0),
            _told(ratios(group), 2),
            _told(model_rates(group), 0),
            f"{100 * statistics.median(busy_shares(group)):.1f} %",
            _told([run["closed"]["1"]["p50_ms"] for run in group], 1),
            _told([run["closed"]["16"]["answered_per_second"] for run in group], 0),
            *(" / ".join(_median(group, "open", share, key) for key in ("p50_ms", "p99_ms")) for share in ("50", "90")),
            _bursts(group),
        ]
        rows.append(row)
    return Table(title="Load that can be served", header=header, rows=rows)


def _bursts(group: Sequence[Result]) -> str:
    bursts = [run["bursts"] for run in group if "bursts" in run]
    if not bursts:
        return ""
    p99 = statistics.median(burst["p99_ms"] for burst in bursts)
    in_time = statistics.median(burst["answered_per_second"] / burst["offered_per_second"] for burst in bursts)
    return f"{p99:.0f}, {100 * in_time:.1f} %"


def _overload(runs: Sequence[Result]) -> Table:
    header = (
        *("module", "goodput / capacity", "refused", "refusals, p50 / p99 ms", "expired", "answers, p99 ms"),
        *("PSS, MB before and after", "server, cores", "client, cores"),
    )
    rows = []
    for (task, precision), group in groups(runs).items():
        loads = [run["open"]["400"] for run in group]
        before, after = (statistics.median(load["pss_mb"][place] for load in loads) for place in (0, 1))
        row = [
            f"{LETTERS[task]} {precision}",
            _told(goodputs(group), 2),
            f"{100 * statistics.median(load['refused'] for load in loads):.1f} %",
            " / ".join(_median(group, "open", "400", f"refusal_{percent}_ms") for percent in ("p50", "p99")),
            f"{100 * statistics.median(load['expired'] for load in loads):.2f} %",
            _median(group, "open", "400", "p99_ms"),
            f"{before:.0f}, {after:.0f}",
            _median(group, "open", "400", "server_cpu"),
            _median(group, "open", "400", "client_cpu"),
        ]
        rows.append(row)
    title = "Four times the load that can be served, each call with a deadline of 0.5 s"
    return Table(title=title, header=header, rows=rows)


def _told(values: Sequence[float], digits: int) -> str:
    median, least, most = (f"{value:.{digits}f}" for value in spread(values))
    return f"{median} ({least} to {most})"


def _median(group: Sequence[Result], *path: str) -> str:
    values = []
    for run in group:
        value = run
        for key in path:
            value = value.get(key, {})
        if value != {}:
            values.append(float(value))  # type: ignore[arg-type]  # the last step leads to a number
    return f"{statistics.median(values):.1f}" if values else "none"


def bench(result: Result) -> Iterator[str]:
    """The paragraphs of `results/bench.json`."""
    yield where(result)
    for table in tables(result):
        yield table.markdown()


Pages = Mapping[str, Callable[[Result], Iterator[str]]]
PAGES: Pages = {"bench": bench}
"""What renders a result, by the name of its file."""


def updated(text: str, pages: Pages | None = None) -> str:
    """A page with the tables of all results that there are, rendered by `pages`; by PAGES if there are none."""

    def render(found: re.Match[str]) -> str:
        file = RESULTS / f"{found[2]}.json"
        if not file.exists():
            return found[0]
        paragraphs = "\n\n".join((pages or PAGES)[found[2]](json.loads(file.read_text("utf-8"))))
        return f"{found[1]}\n{paragraphs}\n\n{found[3]}"

    return _BLOCK.sub(render, text)


def rewrite(file: Path, pages: Pages | None = None) -> None:
    """Brings the tables of a page up to date, and says whether that was needed."""
    before = file.read_text("utf-8")
    after = updated(before, pages)
    file.write_text(after, "utf-8")
    sys.stdout.write(f"{file.name}: {'rewritten' if after != before else 'was up to date'}\n")


if __name__ == "__main__":
    rewrite(README)
