"""Which ports a run of tests may draw: workers of pytest-xdist draw from parts that do not overlap.

A server listens seconds after its port was drawn: one that drew it again took all tests of a platform along.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Mapping

from gateway.command_line.local import HOST, Ports, choose_ports
from shared.errors import ConfigurationError

FIRST, LAST = 20_000, 32_000
"""Below those that outgoing connections are given."""
PORTS_OF_A_PLATFORM = 300
"""More than `diptych up` takes from the first on."""
TRIES = 1000

_drawn: set[int] = set()


def free_port() -> int:
    """A port nobody listens on; none twice in one run of tests."""
    for _ in range(TRIES):
        port = _drawn_port()
        if port in _drawn:
            continue
        _drawn.add(port)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def free_platform(replicas: Mapping[str, int] | None = None, *, web: bool = False) -> tuple[int, dict[str, Ports]]:
    """A base from which all the ports of `diptych up` are free, and they; see `choose_ports`."""
    for _ in range(TRIES):
        base = _drawn_port(PORTS_OF_A_PLATFORM)
        try:
            ports = choose_ports(base, replicas=replicas, web=web)
        except ConfigurationError:
            continue
        numbers = {number for each in ports.values() for number in (each.grpc, each.metrics, each.web or each.grpc)}
        if not _drawn.isdisjoint(numbers):
            continue
        _drawn.update(numbers)
        return base, ports
    raise AssertionError("no free ports")


def _drawn_port(span: int = 1) -> int:
    """A port of this worker's part; `span` of them from there are of it as well."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    part = (LAST - FIRST) // workers
    return random.randrange(FIRST + worker * part, FIRST + (worker + 1) * part - span + 1)
