"""`python -m tests.benchmarks.bench`: Diptych beside the bare loop, and its other figures; see README.md here.

It prints tables and, as its last line, one JSON object, which `--output` keeps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from tests.benchmarks import machine
from tests.benchmarks.effort import QUICK, Bench, Effort, Result
from tests.benchmarks.load.generator import LoadGenerator
from tests.benchmarks.sections import cold_start, curves, hop, modules, replicas, text_to_image
from tests.benchmarks.tables import tables, where

SECTIONS: Mapping[str, Callable[[Bench], Result]] = {
    "modules": modules.measure,
    "hop": hop.measure,
    "text-to-image": text_to_image.measure,
    "replicas": replicas.measure,
    "cold-start": cold_start.measure,
}
CURVES = "curves"
"""Only when it is named: what `plot` draws."""


def main(
    only: Annotated[
        list[str] | None, typer.Option(help=f"A section: {', '.join((*SECTIONS, CURVES))}; repeatable.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="One start and short times: to see it run, not to believe it.")] = False,
    starts: Annotated[int, typer.Option(min=1, help="Fresh starts of all that is compared.")] = 3,
    scale: Annotated[float, typer.Option(min=0.1, help="Of all measured times.")] = 1.0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Measures all sections, or those that are named."""
    if unknown := set(only or ()) - {*SECTIONS, CURVES}:
        raise typer.BadParameter(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    effort = QUICK if quick else Effort(starts=starts, scale=scale)
    console = Console(width=200 if not sys.stdout.isatty() else None)
    begin = time.monotonic()
    result: Result = {
        **machine.stamp("bench"),
        "starts": effort.starts,
        "scale": effort.scale,
        "sections": {},
    }
    with LoadGenerator() as generator, console.status("") as status:
        for name in only or SECTIONS:
            bench = Bench(effort=effort, generator=generator, tell=teller(status, name))
            if name == CURVES:
                result[CURVES] = curves.measure(bench)
            else:
                result["sections"][name] = SECTIONS[name](bench)
    result["minutes"] = round((time.monotonic() - begin) / 60, 1)
    for table in tables(result):
        console.print(table.rich())
    console.print(where(result))
    machine.keep(result, output)


def teller(status: Status, section: str) -> Callable[[str], None]:
    """Shows what a section is at."""
    return lambda what: status.update(f"{section}: {what}")


if __name__ == "__main__":
    typer.run(main)
