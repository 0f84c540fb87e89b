"""HTTP/1.1 with raw bodies over connections that stay open: as little work a call as Python allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.benchmarks.load.client import Ending
from tests.benchmarks.peers.transport import Send

REFUSED, EXPIRED = {429, 503}, {408, 504}


class Connection(asyncio.Protocol):
    """One request at a time; what it knows of HTTP is what the peers answer: a length, or chunks."""

    def __init__(self) -> None:
        self.open = True
        self._transport: asyncio.Transport
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps it."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is another class of the same kind

    def connection_lost(self, error: Exception | None) -> None:
        """Fails the request that is under way."""
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError("closed by the server"))

    def data_received(self, data: bytes) -> None:
        """Ends the request when its answer is whole."""
        self._received += data
        head, separator, body = bytes(self._received).partition(b"\r\n\r\n")
        if not separator or self._answer is None or self._answer.done():
            return
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = fields.get(b"content-length")
        whole = body.endswith(b"0\r\n\r\n") if length is None else len(body) >= int(length)
        if fields.get(b"connection", b"").strip() == b"close":
            self.open = False
        if whole:
            self._answer.set_result((int(head[9:12]), body))

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises OSError when the connection breaks."""
        self._received.clear()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """By which the server can know that nobody waits."""
        self.open = False
        self._transport.close()


@asynccontextmanager
async def http(address: str, *, path: str, content_type: str = "application/octet-stream") -> AsyncIterator[Send]:
    """As many connections as there are calls at once; a call that gives up closes its own."""
    host, _, port = address.partition(":")
    loop = asyncio.get_running_loop()
    idle: list[Connection] = []
    every: set[Connection] = set()
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: "

    async def send(payload: bytes, seconds: float | None) -> tuple[Ending, bytes]:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                while idle and connection is None:
                    candidate = idle.pop()
                    connection = candidate if candidate.open else None
                if connection is None:
                    _, connection = await loop.create_connection(Connection, host, int(port))
                    every.add(connection)
                status, body = await connection.exchange(f"{head}{len(payload)}\r\n\r\n".encode() + payload)
        except TimeoutError:
            if connection is not None:
                connection.close()
                every.discard(connection)
            return Ending.EXPIRED, b""
        if connection.open:
            idle.append(connection)
        else:
            connection.close()
            every.discard(connection)
        if status == 200:
            return Ending.ANSWERED, body
        if status in REFUSED | EXPIRED:
            return (Ending.REFUSED if status in REFUSED else Ending.EXPIRED), body
        raise RuntimeError(f"HTTP {status}: {body[:300]!r}")

    try:
        yield send
    finally:
        for connection in every:
            connection.close()
