"""`python -m tests.benchmarks.memory`: PSS of each server's processes after a call, alone and beside the others.

PSS (proportional set size, `/proc/PID/smaps_rollup`) counts a page that several processes share in parts, so that
the sum over processes is what they cost together; a service that is alone on its node shares PyTorch with nobody.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.first_calls import first_call, model_directories
from tests.end_to_end.servers import Launcher, Server, new_mark

MEGABYTE = 1e6


def pss_megabytes(pid: int) -> float:
    """Of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no Pss")


def held(server: Server) -> dict[str, float]:
    """PSS of the processes of one server that has been awaited."""
    parts = {"front_end": pss_megabytes(server.pid)}
    if server.name != "gateway":
        parts["model"] = pss_megabytes(server.model_pid())
    return {**parts, "together": sum(parts.values())}


def warm(server: Server, model: Path) -> None:
    """Waits for a service and has it answer one call."""
    server.wait_serving()
    with grpc.insecure_channel(server.address) as channel:
        first_call(server.name, model)(channel)


def main(
    models: Annotated[Path | None, typer.Option(help="Folder with a model directory a service.")] = None,
) -> None:
    """Starts each server alone, then all of them, calls each service once, and prints what the processes hold."""
    console = Console()
    directories = model_directories(models)
    alone: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as logs, console.status("starting") as status:
        launcher = Launcher(directories, Path(logs), new_mark(), defaults={})
        try:
            for name, model in directories.items():
                status.update(f"{name} alone")
                server = launcher.service(name)
                warm(server, model)
                alone[name] = held(server)
                launcher.stop_all()
            status.update("all together")
            services = [launcher.service(name) for name in directories]
            gateway = launcher.gateway({server.name: server.address for server in services})
            for server in services:
                warm(server, directories[server.name])
            gateway.wait_serving()
            beside = {server.name: held(server)["together"] for server in launcher.servers}
            alone["gateway"] = held_alone(launcher, gateway)
        finally:
            launcher.stop_all()

    columns = ("front_end", "model", "together")
    table = Table("server", "front end", "model process", "together", "beside the others", title="PSS in MB")
    for name, row in alone.items():
        table.add_row(name, *(f"{row[key]:.0f}" if key in row else "" for key in columns), f"{beside[name]:.0f}")
    table.add_section()
    table.add_row("all", "", "", "", f"{sum(beside.values()):.0f}")
    console.print(table)
    result = {"alone": {name: rounded(row) for name, row in alone.items()}, "beside": rounded(beside)}
    sys.stdout.write(json.dumps({"pss_megabytes": result}) + "\n")


def held_alone(launcher: Launcher, gateway: Server) -> dict[str, float]:
    """Of a gateway whose services have been stopped."""
    for server in launcher.servers:
        if server is not gateway:
            server.terminate()
    return held(gateway)


def rounded(row: dict[str, float]) -> dict[str, float]:
    """To a tenth of a megabyte."""
    return {key: round(value, 1) for key, value in row.items()}


if __name__ == "__main__":
    typer.run(main)
