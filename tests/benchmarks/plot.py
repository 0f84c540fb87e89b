"""`python -m tests.benchmarks.plot RESULT.json ... --picture FILE.png`: latency against load, for each server.

A result has `curves`: a list of `{"server", "task", "points": [{"rate", "p50_ms", "p99_ms", "goodput"}]}`, the points
by rising rate. Each server has a line style and a mark of its own, so that the plot can be read without colours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.figure import Figure

from tests.benchmarks.effort import Result
from tests.benchmarks.load.plan import DEADLINE_SECONDS

TITLES = {
    "text": "T: text encoder, 22 M",
    "classification": "C: image classifier, 3 M",
    "generation": "G: image generator, 3 M",
}
MILLISECONDS = (5, 10, 20, 50, 100, 200, 500)
STYLES = (
    # Colours of Okabe and Ito, dark to light; in grey they fall apart by dashes and marks.
    ("#000000", "-", "o"),
    ("#0072B2", "--", "s"),
    ("#D55E00", "-.", "^"),
    ("#009E73", ":", "D"),
    ("#CC79A7", (0, (5, 1)), "v"),
    ("#56B4E9", (0, (3, 1, 1, 1)), "X"),
    ("#E69F00", (0, (1, 1)), "P"),
)


def draw(curves: Sequence[Result], picture: Path) -> None:
    """One column a module: latency above, goodput below, both against the offered load."""
    tasks = [task for task in TITLES if any(curve["task"] == task for curve in curves)]
    servers = list(dict.fromkeys(curve["server"] for curve in curves))
    styles = dict(zip(servers, islice(cycle(STYLES), len(servers)), strict=True))
    figure = Figure(figsize=(5 * len(tasks), 7))
    axes = figure.subplots(2, len(tasks), squeeze=False, sharex="col")
    for column, task in enumerate(tasks):
        above, below = axes[0][column], axes[1][column]
        for curve in curves:
            if curve["task"] != task:
                continue
            colour, line, mark = styles[curve["server"]]
            points = curve["points"]
            rates = [point["rate"] for point in points]
            look = {"color": colour, "linestyle": line, "marker": mark, "markersize": 4, "label": curve["server"]}
            above.plot(rates, [point.get("p99_ms") for point in points], **look)
            below.plot(rates, [point["goodput"] for point in points], **look)
        above.set_title(TITLES[task])
        above.set_yscale("log")
        above.set_ylim(5, 1200 * DEADLINE_SECONDS)
        above.set_yticks(MILLISECONDS, labels=[str(value) for value in MILLISECONDS])
        above.set_yticks([], minor=True)
        below.set_ylim(bottom=0)
        below.set_xlabel("offered calls a second")
        for axis in (above, below):
            axis.grid(visible=True, alpha=0.3)
    axes[0][0].set_ylabel("p99 of the answers in time, ms")
    axes[1][0].set_ylabel("answers within 0.5 s, a second")
    axes[0][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(picture, dpi=120)


def main(
    results: Annotated[list[Path], typer.Argument(exists=True, help="Results with curves, JSON.")],
    picture: Annotated[Path, typer.Option(help="The PNG to write.")],
) -> None:
    """Draws all curves of the results."""
    curves = [curve for result in results for curve in json.loads(result.read_text("utf-8")).get("curves", [])]
    if not curves:
        raise typer.BadParameter("none of the results has curves")
    draw(curves, picture)


if __name__ == "__main__":
    typer.run(main)
