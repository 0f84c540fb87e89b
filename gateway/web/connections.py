"""One connection of the playground's server, which uvicorn would let wait for ever, and any number of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.web.identity import STATE
from shared.rpc.peer import certificate_identity

_TOO_MANY = b"too many connections; try again in a moment\n"
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_TOO_MANY), _TOO_MANY)
)


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """The bounds of `Connection`."""

    most: int
    """Connections at once."""
    idle_seconds: float
    """From one answer, or the beginning, to the end of the next request's head."""


class Connection(H11Protocol):
    """uvicorn's, that ends when no request comes, and at once when there are too many."""

    def __init__(self, *args: Any, limits: ConnectionLimits, **named: Any) -> None:
        super().__init__(*args, **named)
        self._limits = limits
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        identity = certificate_identity(transport.get_extra_info("peercert"))
        self.app_state = {**self.app_state, STATE: identity}
        if len(self.connections) > self._limits.most:
            transport.write(_REFUSAL)
            transport.close()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        """Ends the wait when the head of a request is complete."""
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        """Begins to wait for the next request, where it is not there yet."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the wait."""
        super().connection_lost(exc)
        self._end_wait()

    def _wait(self) -> None:
        """Lets the wait begin, go on or end, as the connection is."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._end_wait()
        elif self._patience is None:
            # Not closed in peace: who does not send may not read either.
            self._patience = self.loop.call_later(self._limits.idle_seconds, self.transport.abort)

    def _end_wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
