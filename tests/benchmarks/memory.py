"""`python -m tests.benchmarks.memory`: PSS of each process of a platform that has answered a call of each service.

PSS (proportional set size, `/proc/PID/smaps_rollup`) counts a page that several processes share in parts, so that
the sum over processes is what they cost together.
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
from tests.end_to_end.servers import Launcher, new_mark

MEGABYTE = 1e6


def pss_megabytes(pid: int) -> float:
    """Of one process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / MEGABYTE
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no Pss")


def main(
    models: Annotated[Path | None, typer.Option(help="Folder with a model directory a service.")] = None,
) -> None:
    """Starts the platform on free ports, calls each service once, and prints what the processes hold."""
    console = Console()
    directories = model_directories(models)
    measured: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as logs, console.status("starting the platform") as status:
        launcher = Launcher(directories, Path(logs), new_mark(), defaults={})
        try:
            services = {name: launcher.service(name) for name in directories}
            gateway = launcher.gateway({name: server.address for name, server in services.items()})
            for server in launcher.servers:
                server.wait_serving()
            status.update("calling each service")
            for name, server in services.items():
                with grpc.insecure_channel(server.address) as channel:
                    first_call(name, directories[name])(channel)
            for name, server in services.items():
                front_end, model = pss_megabytes(server.pid), pss_megabytes(server.model_pid())
                measured[name] = {"front_end": front_end, "model": model, "together": front_end + model}
            measured["gateway"] = {"front_end": pss_megabytes(gateway.pid), "together": pss_megabytes(gateway.pid)}
        finally:
            launcher.stop_all()

    table = Table("process", "front end", "model process", "together", title="PSS in MB")
    for name, row in measured.items():
        table.add_row(name, *(f"{row[key]:.0f}" if key in row else "" for key in ("front_end", "model", "together")))
    console.print(table)
    rounded = {name: {key: round(value, 1) for key, value in row.items()} for name, row in measured.items()}
    sys.stdout.write(json.dumps({"pss_megabytes": rounded}) + "\n")


if __name__ == "__main__":
    typer.run(main)
