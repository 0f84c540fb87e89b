"""`python -m tests.benchmarks.first_answer`: seconds from a service's start to its first answer, page cache warm."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.first_calls import RECONNECT, first_call, model_directories
from tests.end_to_end.servers import START_SECONDS, Launcher, new_mark

PAUSE_SECONDS = 0.02
"""Between two attempts."""


def seconds_to_first_answer(launcher: Launcher, service: str, model: Path) -> float:
    """Of one fresh start, alone on the machine."""
    call = first_call(service, model)
    begin = time.perf_counter()
    server = launcher.service(service)
    try:
        with grpc.insecure_channel(server.address, options=RECONNECT) as channel:
            while True:
                try:
                    call(channel)
                except grpc.RpcError as error:
                    seconds = time.perf_counter() - begin
                    if server.popen.poll() is not None or seconds > START_SECONDS:
                        raise SystemExit(f"{service} does not serve: {error}\n{server.log.read_text()}") from None
                    time.sleep(PAUSE_SECONDS)
                else:
                    return time.perf_counter() - begin
    finally:
        launcher.stop_all()


def main(
    models: Annotated[Path | None, typer.Option(help="Folder with a model directory a service.")] = None,
    starts: Annotated[int, typer.Option(min=1, help="Fresh starts of each service.")] = 3,
) -> None:
    """Starts each service several times, one after another, and prints median, least and most."""
    console = Console()
    directories = model_directories(models)
    measured: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as logs, console.status("starting") as status:
        launcher = Launcher(directories, Path(logs), new_mark(), defaults={})
        for name, model in directories.items():
            measured[name] = []
            for start in range(starts):
                status.update(f"{name}, start {start + 1} of {starts}")
                measured[name].append(seconds_to_first_answer(launcher, name, model))

    table = Table("service", "median", "least", "most", title="Seconds from start to first answer")
    for name, seconds in measured.items():
        values = (statistics.median(seconds), min(seconds), max(seconds))
        table.add_row(name, *(f"{value:.2f}" for value in values))
    console.print(table)
    rounded = {name: [round(value, 3) for value in seconds] for name, seconds in measured.items()}
    sys.stdout.write(json.dumps({"first_answer_seconds": rounded}) + "\n")


if __name__ == "__main__":
    typer.run(main)
