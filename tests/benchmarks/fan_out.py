"""`python -m tests.benchmarks.fan_out`: what knowing many replicas costs a gateway, and a replica many gateways.

One no-op service stands for all replicas: it listens on every loopback address, and each connection has a health watch
of its own. Nobody calls meanwhile. Linux only: other systems have one loopback address unless told.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks import machine
from tests.benchmarks.load.processes import cpu_seconds, pss_megabytes
from tests.benchmarks.server import BenchmarkServer, gateway, module_server
from tests.end_to_end.servers import wait_until

REPLICAS = (1, 50, 200)
SETTLE_SECONDS = 5.0


def main(seconds: Annotated[float, typer.Option(help="That CPU time is counted.")] = 20.0) -> None:
    """Measures a gateway with each number of replicas."""
    lines = []
    with Console().status("starting") as status:
        for count in REPLICAS:
            status.update(f"{count} replicas")
            lines.append(measure(count, seconds))
    header = (
        "replicas",
        "gateway: PSS, MB",
        "CPU idle, ms a second",
        "replicas' side: PSS, MB",
        "CPU idle, ms a second",
    )
    table = Table(*header)
    for line in lines:
        table.add_row(str(line["replicas"]), *(f"{value:.1f}" for name, value in line.items() if name != "replicas"))
    Console().print(table)
    machine.keep({**machine.stamp("fan_out"), "lines": lines}, None)


def measure(count: int, seconds: float) -> dict[str, float]:
    """One line."""
    # Without keys and TLS it must be said that anybody may call: these addresses are all of this machine.
    with module_server("tests.benchmarks.noop", host="0.0.0.0", allow_insecure="true") as noop:
        port = noop.address.rpartition(":")[2]
        targets = ",".join(f"127.0.0.{number}:{port}" for number in range(1, count + 1))
        with gateway(
            {"text": targets, **dict.fromkeys(("classification", "generation", "captioning"), noop.address)}
        ) as front:
            wait_until(lambda: serving(front) == count, f"{count} replicas serve")
            time.sleep(SETTLE_SECONDS)
            before = [cpu_seconds([server.pid]) for server in (front, noop)]
            time.sleep(seconds)
            spent = [cpu_seconds([server.pid]) - was for server, was in zip((front, noop), before, strict=True)]
            return {
                "replicas": count,
                "gateway_pss_mb": pss_megabytes([front.pid]),
                "gateway_cpu_ms_per_second": 1000 * spent[0] / seconds,
                "replica_pss_mb": pss_megabytes([noop.pid]),
                "replica_cpu_ms_per_second": 1000 * spent[1] / seconds,
            }


def serving(front: BenchmarkServer) -> float:
    """Replicas of text that the gateway knows to serve."""
    return front.metrics().total("diptych_replicas", service="text", state="serving")


if __name__ == "__main__":
    typer.run(main)
