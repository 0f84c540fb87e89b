"""The process that calls, as the measuring process holds it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.benchmarks.load.cores import client_cores
from tests.benchmarks.load.plan import Load, Seen, load_json, seen_of

REPOSITORY = Path(__file__).parents[3]
PATIENCE_SECONDS = 90.0
"""Beyond the load's own time: for calls without a deadline to end."""


class LoadGenerator:
    """`python -m tests.benchmarks.load`, kept to the core of clients; leaving it ends the process.

    Args:
        python: interpreter with the packages of the clients that it will be asked for.
    """

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [self._python, "-m", "tests.benchmarks.load"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}:{REPOSITORY}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self._process.pid, client_cores())  # it has one thread as yet; all others inherit
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def measure(self, load: Load) -> Seen:
        """Runs the load, and waits for its end. Raises RuntimeError when the process ended or hangs."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(load_json(load) + "\n")
        self._process.stdin.flush()
        limit = load.warm_seconds + load.seconds + PATIENCE_SECONDS
        if not select.select([self._process.stdout], [], [], limit)[0]:
            raise RuntimeError(f"calls hung for {PATIENCE_SECONDS:g} s after the load")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        return seen_of(line)
