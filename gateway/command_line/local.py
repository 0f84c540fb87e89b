"""All of Diptych on this machine: the model services and the gateway as child processes on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from gateway.command_line.health import ServerStatus, wait_until_serving
from gateway.command_line.processes import Program, ServerProcess, Tell
from gateway.command_line.shares import shares
from gateway.settings import SERVICES
from shared.errors import ConfigurationError

T = TypeVar("T")
HOST = "127.0.0.1"
GATEWAY = "gateway"
SERVER_NAMES = (*SERVICES, GATEWAY)
MODULES: Mapping[str, tuple[str, ...]] = {
    **{service: (f"services.{service}",) for service in SERVICES},
    GATEWAY: ("gateway",),
}
"""Module, and arguments, of each server."""
MAX_REPLICAS = 9
"""Of a service: the ports of a tenth would be those of the metrics."""
OF_EXPOSED_SERVERS = (
    "DIPTYCH_HEALTH_PORT",
    "DIPTYCH_TLS_CERTIFICATE",
    "DIPTYCH_TLS_KEY",
    "DIPTYCH_TLS_CLIENT_CA",
    "DIPTYCH_SERVICES_CA",
)
"""Variables that are not handed on: on loopback all is plain text, and five servers cannot share a port."""
SERVICE_OFFSET = 10
METRICS_OFFSET = 100


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one server."""

    grpc: int
    metrics: int
    web: int | None = None
    """Of the playground; the gateway's alone, where it has one."""


def server_name(service: str, place: int) -> str:
    """`classification` for the first replica, then `classification-2` and so on."""
    return f"{service}-{place + 1}" if place else service


def service_of(name: str) -> str:
    """The service, or the gateway, that a server is one of."""
    return name.partition("-")[0]


def choose_ports(base: int, *, web: bool = False, replicas: Mapping[str, int] | None = None) -> dict[str, Ports]:
    """Ports by server name: the gateway at `base`, the services from 10 above, metrics 100 above each; free ones for 0.

    A second replica of a service is another 10 above, and so on. With `web` the gateway has a port for the playground
    as well, the next after its own.

    Args:
        replicas: how many, 1 to `MAX_REPLICAS`, by service; one of those that are not named.

    Raises:
        ConfigurationError: one of them is taken.
    """
    numbers = {
        server_name(service, place): base + SERVICE_OFFSET * (place + 1) + index
        for index, service in enumerate(SERVICES)
        for place in range((replicas or {}).get(service, 1))
    }
    with ExitStack() as stack:  # all are held until the last is chosen, so that none is chosen twice
        return {
            name: Ports(
                grpc=_claim(stack, name, number if base else 0),
                metrics=_claim(stack, name, number + METRICS_OFFSET if base else 0),
                web=_claim(stack, "the playground", number + 1 if base else 0) if web and name == GATEWAY else None,
            )
            for name, number in {**numbers, GATEWAY: base}.items()
        }


def _claim(stack: ExitStack, name: str, port: int) -> int:
    listener = stack.enter_context(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"port {port} for {name} cannot be used ({error}); choose others with --port"
        ) from None
    return int(listener.getsockname()[1])


class LocalPlatform:
    """The gateway and the services as processes; inside `async with` they run, and are started again when they die.

    Args:
        ports: by server name; that of `choose_ports` says how many replicas of each service there are.
        log_directory: gets a file a server; exists.
        environment: further variables for every server, such as DIPTYCH_DEVICE.
        models: model directories by service; the embedded model for a service that is not named.
        on_line: gets each line that a server writes.
        on_event: gets what happens to a server's process.
        modules: what to run, by service, and for the gateway.
    """

    def __init__(
        self,
        *,
        ports: Mapping[str, Ports],
        log_directory: Path,
        environment: Mapping[str, str],
        models: Mapping[str, Path],
        on_line: Tell,
        on_event: Tell,
        modules: Mapping[str, tuple[str, ...]] = MODULES,
    ) -> None:
        self.names = tuple(ports)
        """Of the servers: services in order, each with its replicas, then the gateway."""
        self.addresses = {name: f"{HOST}:{each.grpc}" for name, each in ports.items()}
        self.metrics = {name: f"http://{HOST}:{each.metrics}/metrics" for name, each in ports.items()}
        web_port = ports[GATEWAY].web
        self.playground = None if web_port is None else f"http://{HOST}:{web_port}/"
        own = self._own_variables(environment, web_port)
        self.processes = {
            name: ServerProcess(
                Program(
                    name=name,
                    module=modules[service_of(name)][0],
                    arguments=modules[service_of(name)][1:],
                    environment={
                        **environment,
                        **dict.fromkeys(OF_EXPOSED_SERVERS),
                        **own[name],
                        **(
                            {"DIPTYCH_MODEL_DIRECTORY": str(models[service_of(name)])}
                            if service_of(name) in models
                            else {}
                        ),
                        "DIPTYCH_HOST": HOST,
                        "DIPTYCH_PORT": str(ports[name].grpc),
                        "DIPTYCH_METRICS_PORT": str(ports[name].metrics),
                    },
                    log_file=log_directory / f"{name}.log",
                ),
                on_line=on_line,
                on_event=on_event,
            )
            for name in self.names
        }
        self._supervisors: list[asyncio.Task[None]] = []

    def _own_variables(self, environment: Mapping[str, str], web_port: int | None) -> dict[str, dict[str, str]]:
        """What each server has to itself, by name: its part of the machine, or where the others are."""
        by_service = {service: [each for each in self.names if service_of(each) == service] for service in SERVICES}
        parts = shares({service: len(names) for service, names in by_service.items()}, environment)
        own = {name: parts[service][place] for service in SERVICES for place, name in enumerate(by_service[service])}
        own[GATEWAY] = {
            f"DIPTYCH_{service}_TARGETS".upper(): ",".join(self.addresses[name] for name in names)
            for service, names in by_service.items()
        }
        if web_port is not None:
            own[GATEWAY]["DIPTYCH_WEB_PORT"] = str(web_port)
        return own

    async def __aenter__(self) -> Self:
        self._supervisors = [asyncio.create_task(process.supervise()) for process in self.processes.values()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the gateway, which drains, and then the services; a cancel meanwhile kills them."""
        try:
            await self.processes[GATEWAY].stop()
            await asyncio.gather(*(process.stop() for process in self.processes.values()))
        finally:
            for process in self.processes.values():
                process.kill()
            for supervisor in self._supervisors:
                supervisor.cancel()
            await asyncio.gather(*self._supervisors, return_exceptions=True)

    async def run(self, work: Awaitable[T]) -> T:
        """The result of `work`, unless a server cannot be kept running before that.

        Raises:
            ProcessFailedError: a server is configured wrongly or dies again and again.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, *self._supervisors], return_when=asyncio.FIRST_COMPLETED)
            for supervisor in self._supervisors:
                if supervisor.done():
                    supervisor.result()
            return await task
        finally:
            task.cancel()

    async def wait_until_serving(self, on_serving: Callable[[str, ServerStatus], None]) -> None:
        """Returns once every server serves; `on_serving` is told of each."""

        async def wait(name: str) -> None:
            on_serving(name, await wait_until_serving(self.addresses[name]))

        await asyncio.gather(*(wait(name) for name in self.names))
