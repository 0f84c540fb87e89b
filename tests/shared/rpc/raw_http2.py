"""Connections by their bytes: callers who never end what they begin, and frames of HTTP/2 by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.shared.rpc.serving import METHOD

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04" + b"\x00" * 5
HALF_A_HEAD = b"\x00\x00\x20\x01\x00\x00\x00\x00\x01" + b"\x82\x86"
"""The beginning of a HEADERS frame of 32 bytes, and never its end."""
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01"
"""The beginning of a handshake, and never its end."""


@asynccontextmanager
async def raw(port: int, sent: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that sends something, and then nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    try:
        yield reader
    finally:
        writer.close()


async def closed(reader: asyncio.StreamReader) -> bool:
    """Returns when the other end has closed the connection."""
    async with asyncio.timeout(20):
        try:
            while await reader.read(4096):
                pass
        except ConnectionError:
            pass
    return True


def head(method: str) -> bytes:
    """Of a call: method, scheme, path, authority, content-type, te; by HPACK's static table, without Huffman's code."""
    path = f"/{method}".encode()
    return b"\x83\x86\x44%c%b\x41\x01a\x5f\x10application/grpc\x40\x02te\x08trailers" % (len(path), path)


HEAD = head(METHOD)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each frame that arrives."""
    async with asyncio.timeout(20):
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            yield head[3], head[4], int.from_bytes(head[5:], "big"), payload
