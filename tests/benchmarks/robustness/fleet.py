"""Several replicas of each service and several gateways, as processes that are replaced, killed and started again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

from tests.benchmarks.server import BenchmarkServer
from tests.end_to_end.scrape import Metrics
from tests.end_to_end.servers import MODEST, SERVICES, environment, leftovers, new_mark
from tests.ports import free_port

GATEWAY_DRAIN_SECONDS = 5.0
"""A gateway that goes still takes calls while its callers' channels learn of it; so it is on Kubernetes. Services need
none: the gateways watch their health, and try another replica where one refuses."""
GAUGES = (
    "diptych_rpc_in_flight",
    "diptych_queue_depth",
    "diptych_items_in_flight",
    "diptych_downstream_in_flight",
)
"""What must be 0 when nobody calls."""


@dataclass(kw_only=True)
class Slot:
    """An address, and the server that has it at present, if any: a Deployment's place for a pod."""

    name: str
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    server: BenchmarkServer | None = None

    @property
    def address(self) -> str:
        """Of gRPC."""
        return f"127.0.0.1:{self.port}"


class Fleet:
    """`replicas` servers of each service and of the gateway, and `spares` addresses more of each.

    Args:
        logs: folder for the servers' output.
        mark: of the run.
        models: model directories by service; simulated models (`echo`) where there are none.
        replicas: servers of each kind.
        spares: of each kind, where successors start. While nobody is there, the gateway cannot know what would be
            served there, and answers UNAVAILABLE to what no replica it sees can do.
        settings: further ones, of every server.
    """

    def __init__(
        self,
        logs: Path,
        mark: str,
        models: Mapping[str, Path] | None = None,
        *,
        replicas: int = 2,
        spares: int = 1,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._logs = logs
        self._mark = mark
        self._models = models
        self._settings = {**MODEST, **(settings or {})}
        self.slots = {name: [Slot(name=name) for _ in range(replicas + spares)] for name in (*SERVICES, "gateway")}
        self._replicas = replicas

    @property
    def gateway_target(self) -> str:
        """For a channel: all gateways' addresses."""
        return "ipv4:" + ",".join(slot.address for slot in self.slots["gateway"])

    @property
    def servers(self) -> list[BenchmarkServer]:
        """All that were started and not yet taken away."""
        return [slot.server for slots in self.slots.values() for slot in slots if slot.server is not None]

    def start_all(self) -> None:
        """All at once, each in a slot of its own; the spare ones stay free."""
        for slots in self.slots.values():
            for slot in slots[: self._replicas]:
                self.start(slot)
        for server in self.servers:
            server.wait_serving()

    def start(self, slot: Slot) -> BenchmarkServer:
        """A server in a slot; not awaited."""
        slot.server = BenchmarkServer(
            name=slot.name,
            environment=environment(self._mark, self._environment(slot.name)),
            log=self._logs / f"{slot.name}-{slot.port}.log",
            port=slot.port,
            metrics_port=slot.metrics_port,
            command=self._command(slot.name),
        )
        slot.server.start()
        return slot.server

    def roll(self, name: str) -> None:
        """Replaces each server of a kind, one after another: the successor serves before the old one is told to go.

        It blocks. Raises AssertionError when one does not end with 0.
        """
        for old in [slot for slot in self.slots[name] if slot.server is not None]:
            free = next(slot for slot in self.slots[name] if slot.server is None)
            self.start(free).wait_serving()
            assert old.server is not None
            code = old.server.terminate()
            assert code == 0, f"{name} ended with {code}:\n{old.server.log.read_text()[-2000:]}"
            old.server = None

    def restart_dead(self) -> list[str]:
        """Starts what has ended again, at the same address, as a kubelet would; tells the exit codes."""
        dead = [
            slot
            for slots in self.slots.values()
            for slot in slots
            if slot.server and slot.server.popen.poll() is not None
        ]
        told = [f"{slot.name} {slot.server.popen.returncode}" for slot in dead if slot.server]
        for slot in dead:
            self.start(slot)
        return told

    def whole(self) -> bool:
        """Whether every server serves, and every gateway knows that."""
        with suppress(grpc.RpcError, OSError):
            return all(server.popen.poll() is None and server.health() == 1 for server in self.servers) and all(
                metrics.total("diptych_replicas", service=name, state="serving") == self._replicas
                for metrics in self.metrics("gateway")
                for name in SERVICES
            )
        return False

    def metrics(self, *names: str) -> list[Metrics]:
        """Of each server of these kinds, of all if none is named."""
        return [server.metrics() for server in self.servers if not names or server.name in names]

    def busy(self) -> dict[str, float]:
        """The gauges that are not 0, by server and gauge."""
        found = {}
        for server in self.servers:
            metrics = server.metrics()
            for gauge in GAUGES:
                if value := metrics.total(gauge):
                    found[f"{server.name} {server.port} {gauge}"] = value
        return found

    def stop_all(self) -> None:
        """SIGTERM for all, SIGKILL for those that do not heed it."""
        servers = self.servers
        for server in servers:
            with suppress(psutil.NoSuchProcess):
                for process in psutil.Process(server.pid).children():
                    process.resume()
            server.popen.terminate()
        for server in servers:
            try:
                server.wait_ended()
            except subprocess.TimeoutExpired:
                server.kill()

    def _command(self, name: str) -> tuple[str, ...]:
        if name == "gateway":
            return ("gateway",)
        return (f"services.{name}",) if self._models else ("tests.benchmarks.robustness.echo_service", name)

    def _environment(self, name: str) -> dict[str, object]:
        if name == "gateway":
            targets = {f"{each}_targets": ",".join(slot.address for slot in self.slots[each]) for each in SERVICES}
            return {
                "drain_delay_seconds": GATEWAY_DRAIN_SECONDS,
                "encoding_cache_bytes": 0,
                **targets,
                **self._settings,
            }
        model = {} if self._models is None else {"model_directory": self._models[name]}
        return {**model, **self._settings}


@contextmanager
def running(make: Callable[[str], Fleet]) -> Iterator[Fleet]:
    """A fleet that serves; leaving it ends every process of its run."""
    mark = new_mark()
    fleet = make(mark)
    try:
        fleet.start_all()
        wait_whole(fleet)
        yield fleet
    finally:
        fleet.stop_all()
        for process in leftovers(mark):
            process.kill()


def wait_whole(fleet: Fleet, seconds: float = 60.0) -> None:
    """Raises AssertionError unless the fleet is whole in time."""
    give_up = time.monotonic() + seconds
    while not fleet.whole():
        assert time.monotonic() < give_up, f"not whole within {seconds:g} s"
        time.sleep(0.05)
