"""`python -m tests.benchmarks.peers.bench`: Diptych beside other servers of the same modules; see README.md here.

It prints tables and, as its last line, one JSON object, which `--output` keeps.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.benchmarks import machine
from tests.benchmarks.bench import teller
from tests.benchmarks.effort import QUICK, Effort, Result
from tests.benchmarks.peers import environments
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.expected import expected
from tests.benchmarks.peers.measuring import compare, curves
from tests.benchmarks.peers.subjects import DIPTYCH, Arena
from tests.benchmarks.peers.tables import tables
from tests.benchmarks.sections.modules import TASKS
from tests.benchmarks.tables import where

SETTINGS = ("best", "shipped")
EXIT_OF_SIGTERM = 128 + signal.SIGTERM


def main(
    peer: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(PEERS)}; repeatable.")] = None,
    module: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(TASKS)}; repeatable.")] = None,
    setting: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(SETTINGS)}; repeatable.")] = None,
    curve: Annotated[bool, typer.Option("--curves", help="Latency against load instead, for the plot.")] = False,
    quick: Annotated[bool, typer.Option(help="One start and short times: to see it run, not to believe it.")] = False,
    starts: Annotated[int, typer.Option(min=1, help="Fresh starts of all that is compared.")] = 3,
    scale: Annotated[float, typer.Option(min=0.1, help="Of all measured times.")] = 1.0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Measures all peers, modules and settings, or those that are named."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_OF_SIGTERM))  # by way of what ends the servers
    names = _known(peer, tuple(PEERS), "peer")
    tasks = _known(module, TASKS, "module")
    settings = _known(setting, SETTINGS, "setting")
    effort = QUICK if quick else Effort(starts=starts, scale=scale)
    console = Console(width=200 if not sys.stdout.isatty() else None)
    begin = time.monotonic()
    with console.status("") as status:
        tell = teller(status, "peers")
        ready, missing = _environments(names, tell)
        arena = Arena(effort=effort, expected=dict(expected()), tell=tell)
        servers = (DIPTYCH, *ready)
        measured = curves(arena, servers, tasks) if curve else compare(arena, servers, tasks, settings)
    measured["absent"] = missing + measured["absent"]
    result: Result = {
        **machine.stamp("bench-peers"),
        "packages": {name: list(PEERS[name].packages) for name in names},
        "delays_ms": {name: dict(PEERS[name].delays_ms) for name in names},
        "starts": effort.starts,
        "scale": effort.scale,
        "minutes": round((time.monotonic() - begin) / 60, 1),
        **measured,
    }
    for table in tables(result):
        console.print(table.rich())
    console.print(where(result | {"sections": measured}))
    machine.keep(result, output)


def _known(chosen: list[str] | None, there_are: tuple[str, ...], what: str) -> tuple[str, ...]:
    if unknown := set(chosen or ()) - set(there_are):
        raise typer.BadParameter(f"no {what} {', '.join(sorted(unknown))}; there are {', '.join(there_are)}")
    return tuple(name for name in there_are if not chosen or name in chosen)


def _environments(names: tuple[str, ...], tell: object) -> tuple[list[str], list[Result]]:
    """The peers that can be started, and why the others cannot."""
    assert callable(tell)
    ready: list[str] = []
    missing: list[Result] = []
    for name in names:
        tell(f"environment of {name}")
        try:
            environments.make(PEERS[name])
        except environments.Unavailable as error:
            missing.append({"server": name, "task": "all", "setting": "all", "reason": str(error)})
        else:
            ready.append(name)
    return ready, missing


if __name__ == "__main__":
    typer.run(main)
