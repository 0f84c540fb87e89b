"""docker-compose.yml, brought up by the real Compose."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.containers.engine import DockerEngine
from tests.containers.machine import REPOSITORY, run

COMPOSE = Path(sys.prefix) / "bin" / "docker-compose"
_UP_SECONDS = 240


def configuration(*files: str) -> dict[str, Any]:
    """The Compose file with all variables and anchors resolved; asks no engine."""
    named = [argument for file in files or ("docker-compose.yml",) for argument in ("--file", file)]
    told = json.loads(run([COMPOSE, "--project-directory", REPOSITORY, *named, "config", "--format", "json"]))
    assert isinstance(told, dict)
    return told


class Compose:
    """The project of docker-compose.yml on an engine."""

    def __init__(self, engine: DockerEngine) -> None:
        self.engine = engine

    def __call__(self, *arguments: str, seconds: float = 120) -> str:
        """`docker compose ARGUMENTS`."""
        return run(
            [COMPOSE, *arguments],
            seconds=seconds,
            environment={"DOCKER_HOST": f"unix://{self.engine.socket}", "COMPOSE_PROGRESS": "quiet"},
        )

    def up(self, services: Sequence[str]) -> None:
        """Starts services, and returns when each is healthy."""
        self("up", "--detach", "--no-build", "--pull=never", "--wait", *services, seconds=_UP_SECONDS)

    def scale(self, **replicas: int) -> None:
        """So many of each service, and all of them healthy."""
        told = [f"{name}={count}" for name, count in replicas.items()]
        self("scale", "--no-deps", *told, seconds=_UP_SECONDS)
        started = [container for name in replicas for container in self.containers(name)]
        wait_until(lambda: {self.health(each) for each in started} == {"healthy"}, "all are healthy", _UP_SECONDS)

    def down(self) -> None:
        """Stops and removes everything, volumes as well."""
        self("down", "--volumes", "--timeout", "10", seconds=_UP_SECONDS)

    def containers(self, service: str) -> list[str]:
        """Ids of a service's containers that run, the oldest first."""
        ids = self("ps", "--quiet", service).split()
        return sorted(ids, key=lambda each: str(self.engine.inspect(each)["Created"]))

    def state(self, container: str) -> dict[str, Any]:
        """Of a container."""
        told = self.engine.inspect(container)["State"]
        assert isinstance(told, dict)
        return told

    def health(self, container: str) -> str:
        """starting, healthy or unhealthy."""
        return str(self.state(container)["Health"]["Status"])

    def address(self, container: str) -> str:
        """Its address in the internal network."""
        [network] = [each for name, each in self.networks(container).items() if name.endswith("_inside")]
        return str(network["IPAddress"])

    def networks(self, container: str) -> dict[str, Any]:
        """The networks it is in, by name."""
        told = self.engine.inspect(container)["NetworkSettings"]["Networks"]
        assert isinstance(told, dict)
        return told

    def kill(self, container: str) -> None:
        """SIGKILL to its first process by the machine's kernel; the engine takes `docker kill` for a wish to stop."""
        os.kill(int(self.state(container)["Pid"]), signal.SIGKILL)


def wait_until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Asks every half second until the condition is true."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"not within {seconds:g} s: {what}"
        time.sleep(0.5)
