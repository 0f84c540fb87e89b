"""A gateway with its playground over fake model services, and one request at it by plain HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from diptych.types.v1 import model_pb2
from gateway.settings import SERVICES
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import PATIENT, Platform, running_platform
from tests.ports import free_port

HOST = "127.0.0.1"
SERVICE = "/diptych.gateway.v1.GatewayService/"


@dataclass
class Gated(Behaviour):
    """A model service that answers a call only when the test lets it."""

    gate: asyncio.Semaphore | None = None
    """Released once a call to answer; None lets all pass."""

    async def meet(self, request: Any, *spaces: str) -> None:
        """As Behaviour, after the gate."""
        if self.gate is not None:
            self.called.set()
            try:
                await self.gate.acquire()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        await super().meet(request, *spaces)

    def reset(self) -> None:
        """Back to the defaults, with nothing seen."""
        super().reset()
        self.gate = None


@dataclass
class Playground:
    """A running one, and the fakes behind it."""

    platform: Platform
    port: int
    generation: Gated

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    def reset(self) -> None:
        """Fakes that have seen nothing yet."""
        for service in SERVICES:
            for fake in getattr(self.platform, service):
                fake.behaviour.reset()


@asynccontextmanager
async def running_playground(*, heads: tuple[model_pb2.Head, ...] = (), **settings: Any) -> AsyncIterator[Playground]:
    """A gateway with a playground, set up by further settings, and a classifier with these heads."""
    port, generation = free_port(), Gated()
    updated = PATIENT.model_copy(update={"web_port": port, **settings})
    async with running_platform(updated, generation=[generation], classification=[Behaviour(heads=heads)]) as platform:
        yield Playground(platform=platform, port=port, generation=generation)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


async def ask(
    playground: Playground,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """One request with these headers and no others but Host and Content-Length."""

    def exchange() -> Answer:
        connection = http.client.HTTPConnection(HOST, playground.port, timeout=30)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={name.lower(): value for name, value in response.getheaders()},
                body=response.read(),
            )
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


async def ask_json(playground: Playground, method: str, request: object, **headers: str) -> Answer:
    """A unary Connect call in JSON."""
    return await ask(
        playground,
        SERVICE + method,
        method="POST",
        headers={"content-type": "application/json", **{name.replace("_", "-"): headers[name] for name in headers}},
        body=request if isinstance(request, bytes) else json.dumps(request).encode(),
    )
