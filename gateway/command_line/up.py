"""`diptych up`: all servers on this machine, shown until Ctrl-C."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from gateway.command_line.console import ExitCode, cell, output
from gateway.command_line.health import ServerStatus
from gateway.command_line.local import (
    GATEWAY,
    MAX_REPLICAS,
    MODULES,
    SERVER_NAMES,
    LocalPlatform,
    choose_ports,
    service_of,
)
from gateway.command_line.pictures import make_folder
from gateway.command_line.printable import printable
from gateway.command_line.processes import Tell
from gateway.settings import DEFAULT_PORT, SERVICES
from shared.errors import ConfigurationError

COLOURS = dict(zip(SERVER_NAMES, ("cyan", "magenta", "green", "yellow", "blue"), strict=True))


def model_environment(device: str | None, precision: str | None, threads: int | None) -> dict[str, str]:
    """The variables behind the options that were given; the others stay as the environment has them."""
    given = {"DIPTYCH_DEVICE": device, "DIPTYCH_PRECISION": precision, "DIPTYCH_THREADS": threads}
    return {name: str(value) for name, value in given.items() if value is not None}


def model_directories(folder: Path | None) -> dict[str, Path]:
    """The model directories in a folder, by service; none for a service whose sub-folder is absent.

    Raises:
        ConfigurationError: there is none at all.
    """
    if folder is None:
        return {}
    found = {service: folder / service for service in SERVICES if (folder / service).is_dir()}
    if not found:
        raise ConfigurationError(f"{folder} has no folder for a model; names are {', '.join(SERVICES)}")
    return found


def replica_counts(given: Sequence[str]) -> dict[str, int]:
    """How many replicas are wanted, by service, from options such as `classification=2`.

    Raises:
        ConfigurationError: one names no service or no number from 1 to `MAX_REPLICAS`, or a service is named twice.
    """
    counts: dict[str, int] = {}
    for option in given:
        service, _, count = option.partition("=")
        if service not in SERVICES or not count.isdecimal() or not 1 <= int(count) <= MAX_REPLICAS:
            expected = f"SERVICE=NUMBER with 1 to {MAX_REPLICAS} of {', '.join(SERVICES)}"
            raise ConfigurationError(f"--replicas {option}: expected {expected}")
        if service in counts:
            raise ConfigurationError(f"--replicas names {service} twice")
        counts[service] = int(count)
    return counts


def playground_installed() -> bool:
    """Whether the packages of the extra `web` are here; asks without importing them."""
    return all(importlib.util.find_spec(package) is not None for package in ("connectrpc", "uvicorn"))


async def up(
    port: int,
    *,
    log_directory: Path | None = None,
    environment: Mapping[str, str],
    models: Path | None = None,
    replicas: Sequence[str] = (),
    modules: Mapping[str, tuple[str, ...]] = MODULES,
) -> ExitCode:
    """Runs the platform until it is interrupted; OK then, for that is how it ends.

    Raises:
        ConfigurationError: a port is taken, `models` holds none, or `replicas` is wrong.
        ProcessFailedError: a server cannot be kept running.
    """
    console = output()
    ports = choose_ports(port, web=playground_installed(), replicas=replica_counts(replicas))
    logs = make_folder(log_directory) if log_directory else Path(tempfile.mkdtemp(prefix="diptych-"))
    show_line = line_printer(console, width=max(map(len, ports)))
    platform = LocalPlatform(
        ports=ports,
        log_directory=logs,
        environment=environment,
        models=model_directories(models),
        on_line=show_line,
        on_event=show_line,
        modules=modules,
    )
    async with platform:
        await platform.run(show_start(platform, console))
        console.print(_table(platform))
        elsewhere = "" if port == DEFAULT_PORT else f" --address {platform.addresses[GATEWAY]}"
        console.print(_invitation(platform), highlight=False, markup=False)
        console.print(f"Ctrl-C stops everything. Try: diptych text-to-image strawberry{elsewhere}", highlight=False)
        try:
            await platform.run(asyncio.Event().wait())
        except asyncio.CancelledError:
            console.print("stopping; Ctrl-C again kills")
    if log_directory is None:  # nobody asked for them, and after a clean end nobody misses them
        shutil.rmtree(logs, ignore_errors=True)
    return ExitCode.OK


def line_printer(console: Console, *, width: int = max(map(len, SERVER_NAMES))) -> Tell:
    """Prints a line after the coloured name of its server, in a column so many characters wide."""

    def show_line(name: str, line: str) -> None:
        console.print(
            Text.assemble((f"{name:>{width}} │ ", COLOURS[service_of(name)]), printable(line)), soft_wrap=True
        )

    return show_line


async def show_start(platform: LocalPlatform, console: Console) -> None:
    """Shows a spinner for each server until it serves."""
    columns = (
        SpinnerColumn(finished_text="[green]●[/]"),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks = {name: progress.add_task(f"{name}: starting", total=1) for name in platform.names}

        def serving(name: str, status: ServerStatus) -> None:
            told = printable(f" {status.model} {status.version}") if status.model else ""
            progress.update(tasks[name], completed=1, description=f"{name}: serving{told}")

        await platform.wait_until_serving(serving)


def _table(platform: LocalPlatform) -> Table:
    table = Table("server", "address", "metrics", "log", box=SIMPLE_HEAD)
    for name in (GATEWAY, *(each for each in platform.names if each != GATEWAY)):
        log = str(platform.processes[name].program.log_file)
        table.add_row(
            Text(name, COLOURS[service_of(name)]), platform.addresses[name], platform.metrics[name], cell(log)
        )
        if name == GATEWAY and platform.playground is not None:
            table.add_row(Text("playground", COLOURS[name]), platform.playground, "", "")
    return table


def _invitation(platform: LocalPlatform) -> str:
    if platform.playground is None:
        return "No playground in the browser: its packages are missing; pip install 'diptych[web]'"
    return f"In the browser: {platform.playground}"
