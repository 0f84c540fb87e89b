"""Connections over TLS on their way to the playground's server: only so many at once are in their handshake.

An event loop's own server makes the handshake before any protocol hears of a connection, and so before anybody counts
it: strangers who said nothing held as many as there are file descriptors, and with them the port of gRPC.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable

_FULL_SECONDS = 1.0
"""Until the next try, where the system has no file descriptor or memory for one more connection."""

_log = logging.getLogger(__name__)


class HandshakingListener:
    """Accepts from the moment it is made, in a running loop, until it is closed.

    Args:
        listener: listens already, and does not block.
        protocol: made for each connection once its handshake is done.
        context: of TLS.
        most: handshakes at once; further connections are closed at once.
        seconds: for a handshake.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        *,
        most: int,
        seconds: float,
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._most = most
        self._seconds = seconds
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Accepts no more, and ends the handshakes; connections that stand go on."""
        for task in (self._accepting, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Returns when that is done."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        with self._listener:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(self._listener)
                except ConnectionError:  # it has left already
                    continue
                except OSError as error:
                    _log.warning("no connection could be accepted: %s", error)
                    await asyncio.sleep(_FULL_SECONDS)
                    continue
                if len(self._handshakes) >= self._most:
                    accepted.close()
                    continue
                handshake = asyncio.create_task(self._shake_hands(accepted))
                self._handshakes.add(handshake)
                handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # callers who leave, take too long, or whom TLS refuses, are no news
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, accepted, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
