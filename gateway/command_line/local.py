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
SERVICE_OFFSET = 10
METRICS_OFFSET = 100


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one server."""

    grpc: int
    metrics: int
    web: int | None = None
    """Of the playground; the gateway's alone, where it has one."""


def choose_ports(base: int, *, web: bool = False) -> dict[str, Ports]:
    """Ports by server: the gateway at `base`, the services from 10 above, metrics 100 above each; all free ones for 0.

    With `web` the gateway has one for the playground as well, the next after its own.

    Raises:
        ConfigurationError: one of them is taken.
    """
    numbers = {GATEWAY: base, **{service: base + SERVICE_OFFSET + index for index, service in enumerate(SERVICES)}}
    with ExitStack() as stack:  # all are held until the last is chosen, so that none is chosen twice
        return {
            name: Ports(
                grpc=_claim(stack, name, number if base else 0),
                metrics=_claim(stack, name, number + METRICS_OFFSET if base else 0),
                web=_claim(stack, "the playground", number + 1 if base else 0) if web and name == GATEWAY else None,
            )
            for name, number in numbers.items()
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
    """The five servers as processes; inside `async with` they run, and are started again when they die.

    Args:
        ports: by server name.
        log_directory: gets a file a server; exists.
        environment: further variables for every server, such as DIPTYCH_DEVICE.
        models: model directories by service; the embedded model for a service that is not named.
        on_line: gets each line that a server writes.
        on_event: gets what happens to a server's process.
        modules: what to run, by server name.
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
        self.addresses = {name: f"{HOST}:{ports[name].grpc}" for name in SERVER_NAMES}
        self.metrics = {name: f"http://{HOST}:{ports[name].metrics}/metrics" for name in SERVER_NAMES}
        web_port = ports[GATEWAY].web
        self.playground = None if web_port is None else f"http://{HOST}:{web_port}/"
        targets = {f"DIPTYCH_{service}_TARGETS".upper(): self.addresses[service] for service in SERVICES}
        self.processes = {
            name: ServerProcess(
                Program(
                    name=name,
                    module=modules[name][0],
                    arguments=modules[name][1:],
                    environment={
                        **environment,
                        **(targets if name == GATEWAY else {}),
                        **({"DIPTYCH_WEB_PORT": str(web_port)} if name == GATEWAY and web_port is not None else {}),
                        **({"DIPTYCH_MODEL_DIRECTORY": str(models[name])} if name in models else {}),
                        "DIPTYCH_HOST": HOST,
                        "DIPTYCH_PORT": str(ports[name].grpc),
                        "DIPTYCH_METRICS_PORT": str(ports[name].metrics),
                    },
                    log_file=log_directory / f"{name}.log",
                ),
                on_line=on_line,
                on_event=on_event,
            )
            for name in SERVER_NAMES
        }
        self._supervisors: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._supervisors = [asyncio.create_task(process.supervise()) for process in self.processes.values()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the gateway, which drains, and then the services; a cancel meanwhile kills them."""
        try:
            await self.processes[GATEWAY].stop()
            await asyncio.gather(*(self.processes[service].stop() for service in SERVICES))
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

        await asyncio.gather(*(wait(name) for name in SERVER_NAMES))
