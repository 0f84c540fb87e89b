"""Servers as the measuring process holds them: started on the cores of servers, awaited, counted, ended."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.load.cores import server_cores
from tests.benchmarks.load.processes import pin, tree
from tests.end_to_end.servers import Server, environment, new_mark


@dataclass(kw_only=True)
class BenchmarkServer(Server):
    """A server by its module and arguments."""

    command: tuple[str, ...]

    @property
    def program(self) -> tuple[str, ...]:
        """The module that is run, and its arguments."""
        return self.command

    def pids(self) -> list[int]:
        """It and its descendants, such as a model process."""
        return tree(self.pid)


@contextmanager
def module_server(*command: str, **settings: object) -> Iterator[BenchmarkServer]:
    """A server that has told it serves; ended by SIGTERM."""
    with tempfile.TemporaryDirectory() as folder:
        name = command[0].rpartition(".")[2]
        variables = environment(new_mark(), settings)
        server = BenchmarkServer(name=name, environment=variables, log=Path(folder) / "log", command=command)
        server.start()
        pin([server.pid], server_cores())
        try:
            server.wait_serving()
            yield server
        finally:
            server.terminate()


@contextmanager
def serving(name: str, **settings: object) -> Iterator[BenchmarkServer]:
    """One of `reference.serve.SERVED`."""
    with module_server("tests.benchmarks.reference.serve", name, **settings) as server:
        yield server


@contextmanager
def gateway(targets: Mapping[str, str]) -> Iterator[BenchmarkServer]:
    """A gateway over replicas by service.

    A service without replicas is given those of another: calls to it are not made, and a port that nobody listens on
    would be tried again and again while others are measured.
    """
    anywhere = next(iter(targets.values()))
    names = ("text", "classification", "generation", "captioning")
    settings = {f"{name}_targets": targets.get(name, anywhere) for name in names}
    with module_server("gateway", **settings) as server:
        yield server
