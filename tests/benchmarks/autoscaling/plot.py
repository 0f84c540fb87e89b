"""`python -m tests.benchmarks.autoscaling.plot --picture FILE.png`: the flash crowd, signal by signal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.figure import Figure

from tests.benchmarks.autoscaling.comparison import Case, cases, named
from tests.benchmarks.autoscaling.day import BLOCK_SECONDS, day
from tests.benchmarks.autoscaling.measured import services
from tests.benchmarks.autoscaling.replay import replay
from tests.benchmarks.plot import STYLES

RESULT = Path(__file__).parents[1] / "results" / "autoscaling.json"
MINUTES = (-5, 35)
"""Around the beginning of the flash crowd."""


def draw(shown: list[Case], seed: int, picture: Path) -> None:
    """Replicas above, calls lost so far below; of text."""
    service = services()[0]
    load = day(service.capacity, seed=seed)
    first, last = ((load.flash_at + 60 * minute) // BLOCK_SECONDS for minute in MINUTES)
    minutes = (np.arange(first, last) * BLOCK_SECONDS - load.flash_at) / 60
    figure = Figure(figsize=(9, 7))
    above, below = figure.subplots(2, 1, sharex=True)
    offered = np.asarray(load.totals[first:last]) / BLOCK_SECONDS / service.capacity
    above.fill_between(minutes, offered, color="0.85", label="offered, in replicas' worth")
    for case, (colour, line, mark) in zip(shown, STYLES, strict=False):
        outcome = replay(service, load, case.setup, case.circumstances)
        look = {
            "color": colour,
            "linestyle": line,
            "marker": mark,
            "markersize": 4,
            "markevery": 36,
            "label": case.name,
        }
        above.plot(minutes, outcome.replicas[first + 1 : last + 1], **look)
        lost = np.asarray(outcome.lost[first + 1 : last + 1]) - outcome.lost[first]
        below.plot(minutes, lost / 1e6, **look)
    above.set_ylabel("replicas, ready or starting")
    above.legend(fontsize=8, loc="upper right")
    below.set_ylabel("items lost so far, millions")
    below.set_xlabel("minutes since the flash crowd began")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def main(picture: Annotated[Path, typer.Option(help="PNG file to write.")]) -> None:
    """Draws the signals of the last kept result, with the targets found for each."""
    result = json.loads(RESULT.read_text("utf-8"))
    chosen, signals = named(result["candidates"])
    wanted = [case for case in cases(chosen, signals) if case.drawn]
    draw(wanted, result["seed"], picture)


if __name__ == "__main__":
    typer.run(main)
