"""Server processes for tests: started on ports the test chooses, awaited by their health, ended by their ids."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.end_to_end.scrape import Metrics, scrape
from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 90.0
"""Hard limit of a start: two busy cores may import torch four times at once."""
STOP_SECONDS = 30.0
RUN_MARK = "END_TO_END_RUN"
"""Set in the environment of all that a run starts, and inherited by what those start: orphans are found by it."""

SERVICES = {
    "text": "diptych.text.v1.TextEncodingService",
    "classification": "diptych.classification.v1.ClassificationService",
    "generation": "diptych.generation.v1.GenerationService",
    "captioning": "diptych.captioning.v1.CaptioningService",
}
"""The model services by the names the gateway uses."""
GRPC_SERVICES = {**SERVICES, "gateway": "diptych.gateway.v1.GatewayService"}
SERVERS = tuple(GRPC_SERVICES)
MODEST: dict[str, object] = {"device": "cpu", "precision": "fp32", "threads": 1}
"""Settings under which several services share the cores of a small machine."""
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass(kw_only=True)
class Server:
    """One server process, and what can be asked of it from outside."""

    name: str
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    light: bool = False
    """Whether a service has the model of light.py, without torch."""
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Spawns it; also again on the same ports after it ended."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", *self.program],
                cwd=REPOSITORY,
                env={
                    **self.environment,
                    "DIPTYCH_PORT": str(self.port),
                    "DIPTYCH_METRICS_PORT": str(self.metrics_port),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def program(self) -> tuple[str, ...]:
        """The module that is run, and its arguments."""
        if self.name == "gateway":
            return ("gateway",)
        return ("tests.end_to_end.light", self.name) if self.light else (f"services.{self.name}",)

    @property
    def address(self) -> str:
        """Of gRPC."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the front end."""
        return self.popen.pid

    def model_pid(self) -> int:
        """Of the model process."""
        [child] = psutil.Process(self.pid).children()
        return child.pid

    def signal_model(self, number: signal.Signals) -> None:
        """Sends a signal to the model process."""
        os.kill(self.model_pid(), number)

    def wait_serving(self) -> None:
        """Returns once Health.Watch says SERVING; fails with the log when the process ends or takes too long."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            assert self.popen.poll() is None, f"{self.name} ended with {self.popen.returncode}:\n{self.log.read_text()}"
            with suppress(grpc.RpcError), grpc.insecure_channel(self.address) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                for answer in stub.Watch(health_pb2.HealthCheckRequest(), timeout=1.0, wait_for_ready=True):
                    if answer.status == SERVING:
                        return
        raise AssertionError(f"{self.name} was not SERVING in {START_SECONDS:g} s:\n{self.log.read_text()}")

    def health(self, service: str = "") -> int:
        """What Health.Check says."""
        with grpc.insecure_channel(self.address) as channel:
            request = health_pb2.HealthCheckRequest(service=service)
            stub: Any = health_pb2_grpc.HealthStub(channel)
            return int(stub.Check(request, timeout=10.0).status)

    def metrics(self) -> Metrics:
        """What /metrics shows now."""
        return scrape(self.metrics_port)

    def wait_ended(self) -> int:
        """The exit code."""
        return self.popen.wait(STOP_SECONDS)

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        self.popen.terminate()
        return self.wait_ended()

    def kill(self) -> None:
        """SIGKILL, whatever its state."""
        self.popen.kill()
        self.popen.wait(STOP_SECONDS)


class Launcher:
    """Starts servers and ends all of them; `mark` tells this run's processes from any other's.

    Args:
        models: model directories by service; a service that is not named has its embedded model.
        logs: folder for the servers' output.
        mark: value of RUN_MARK.
        defaults: settings of every server.
        light: whether services have the models of light.py, which need no torch.
    """

    def __init__(
        self,
        models: Mapping[str, Path],
        logs: Path,
        mark: str,
        defaults: Mapping[str, object] = MODEST,
        *,
        light: bool = False,
    ) -> None:
        self._models = models
        self._logs = logs
        self._mark = mark
        self._defaults = defaults
        self._light = light
        self.servers: list[Server] = []

    def service(self, name: str, **settings: object) -> Server:
        """A model service with the tiny model; not awaited. Settings are variables without their prefix."""
        model = {"model_directory": self._models[name]} if name in self._models else {}
        return self._start(name, {**model, **settings})

    def gateway(self, targets: Mapping[str, str], **settings: object) -> Server:
        """A gateway over replicas by service; not awaited. It remembers no encodings: all calls reach the services."""
        behind = {f"{name}_targets": where for name, where in targets.items()}
        return self._start("gateway", {"encoding_cache_bytes": 0, **behind, **settings})

    def _start(self, name: str, settings: Mapping[str, object]) -> Server:
        log = self._logs / f"{name}-{len(self.servers)}.log"
        variables = environment(self._mark, {**self._defaults, **settings})
        server = Server(name=name, environment=variables, log=log, light=self._light)
        server.start()
        self.servers.append(server)
        return server

    def stop_all(self) -> None:
        """SIGTERM for all at once, SIGKILL for those that do not heed it."""
        for server in self.servers:
            with suppress(psutil.NoSuchProcess, AssertionError):
                for child in psutil.Process(server.pid).children():
                    child.resume()  # a test may have failed while it was stopped
            server.popen.terminate()
        for server in self.servers:
            try:
                server.wait_ended()
            except subprocess.TimeoutExpired:
                server.kill()
        self.servers.clear()


def environment(mark: str, settings: Mapping[str, object]) -> dict[str, str]:
    """The environment of a server: ours without any setting of Diptych, and with `settings`, named without prefix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    return {**inherited, RUN_MARK: mark, **{f"DIPTYCH_{name}".upper(): str(value) for name, value in settings.items()}}


def new_mark() -> str:
    """A mark no other run has."""
    return uuid.uuid4().hex


def leftovers(mark: str) -> list[psutil.Process]:
    """Processes of the run that still live."""
    return [process for process in psutil.process_iter() if _is_of_run(process, mark)]


def _is_of_run(process: psutil.Process, mark: str) -> bool:
    with suppress(psutil.Error):
        return process.environ().get(RUN_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Asks until the condition is true; for threads, see `calls.until` for coroutines."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
