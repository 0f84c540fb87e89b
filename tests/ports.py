"""Which ports a run of tests may draw: workers of pytest-xdist draw from parts that do not overlap."""

from __future__ import annotations

import os
import random

FIRST, LAST = 20_000, 32_000
"""Below those that outgoing connections are given."""
PORTS_OF_A_PLATFORM = 300
"""More than `diptych up` takes from the first on."""


def drawn_port(span: int = 1) -> int:
    """A port of this worker's part; `span` of them from there are of it as well."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    part = (LAST - FIRST) // workers
    return random.randrange(FIRST + worker * part, FIRST + (worker + 1) * part - span + 1)
