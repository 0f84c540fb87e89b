"""Diptych's servers of the reference modules as the measuring process holds them: started, counted, ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.load.cores import server_cores
from tests.benchmarks.load.processes import pin, tree
from tests.end_to_end.servers import Server, environment, new_mark


class ReferenceServer(Server):
    """A Diptych service around a reference module; `name` is one of `reference.serve.SERVED`."""

    @property
    def program(self) -> tuple[str, ...]:
        """The module that is run, and its arguments."""
        return ("tests.benchmarks.reference.serve", self.name)

    def pids(self) -> list[int]:
        """The front end and its model process."""
        return tree(self.pid)


@contextmanager
def serving(name: str, **settings: object) -> Iterator[ReferenceServer]:
    """A server that has told it serves, kept to the cores of servers; ended by SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / f"{name}.log"
        server = ReferenceServer(name=name, environment=environment(new_mark(), settings), log=log)
        server.start()
        pin([server.pid], server_cores())
        try:
            server.wait_serving()
            yield server
        finally:
            server.terminate()
