"""What the peers' client sends, over sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

from tests.benchmarks.load.client import Ending
from tests.benchmarks.peers.grpc_transport import RPCS, rpc, varint
from tests.benchmarks.peers.http_transport import http
from tests.benchmarks.peers.wire import WIRES
from tests.benchmarks.reference.modules import MODULES

TRITON_TIMEOUT_MICROSECONDS = 500_000


class Upper:
    """An HTTP server that answers in capitals; `busy` gets 503, `slow` nothing, `chunks` its answer in two."""

    def __init__(self) -> None:
        self.connections = 0
        self.closed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while head := await self._head(reader):
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            if body == b"slow":
                continue
            status = b"503 Busy" if body == b"busy" else b"200 OK"
            answer = body.upper()
            if body == b"chunks":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nCHU\r\n")
                await asyncio.sleep(0.01)
                writer.write(b"3\r\nNKS\r\n0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(answer), answer))
        self.closed.set()
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""


@asynccontextmanager
async def upper() -> AsyncIterator[tuple[Upper, str]]:
    server = Upper()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    async with listening:
        yield server, f"{host}:{port}"


async def test_http_calls_take_turns_on_one_connection_and_each_at_once_has_its_own() -> None:
    async with upper() as (server, address), http(address, path="/") as send:
        assert await send(b"one", None) == (Ending.ANSWERED, b"ONE")
        assert await send(b"two", 5.0) == (Ending.ANSWERED, b"TWO")
        assert server.connections == 1
        await asyncio.gather(*(send(b"three", None) for _ in range(3)))
        assert server.connections == 3


async def test_http_answer_in_chunks_is_whole_at_its_end() -> None:
    async with upper() as (_, address), http(address, path="/") as send:
        ending, answer = await send(b"chunks", 5.0)
        assert (ending, answer.count(b"NKS")) == (Ending.ANSWERED, 1)


async def test_http_503_is_a_refusal() -> None:
    async with upper() as (_, address), http(address, path="/") as send:
        assert (await send(b"busy", None))[0] is Ending.REFUSED


async def test_http_call_that_gives_up_closes_its_connection() -> None:
    async with upper() as (server, address), http(address, path="/") as send:
        assert (await send(b"slow", 0.05))[0] is Ending.EXPIRED
        await asyncio.wait_for(server.closed.wait(), 5.0)
        assert await send(b"next", None) == (Ending.ANSWERED, b"NEXT")
        assert server.connections == 2


async def test_grpc_sends_bytes_as_they_are() -> None:
    async def echo(request: bytes, context: object) -> bytes:
        return request

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(echo)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("peers.Reference", {"Answer": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc(f"127.0.0.1:{port}", server="ray") as send:
        assert await send(b"payload", 5.0) == (Ending.ANSWERED, b"payload")
    await server.stop(None)


@pytest.mark.parametrize(("value", "written"), [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_are_written_as_protocol_buffers_do(value: int, written: bytes) -> None:
    assert varint(value) == written


def test_triton_is_told_how_long_a_request_may_wait() -> None:
    assert sorted(fields(RPCS["pytriton"].request(b"payload", None))) == [1, 5, 7]
    message = fields(RPCS["pytriton"].request(b"payload", 0.5))
    assert (message[1], message[7]) == (b"reference", b"\x07\x00\x00\x00payload")
    assert isinstance(message[4], bytes)
    entry = fields(message[4])
    assert isinstance(entry[2], bytes)
    assert (entry[1], fields(entry[2])) == (b"timeout", {2: TRITON_TIMEOUT_MICROSECONDS})


def test_torchserve_gets_a_map_with_the_body() -> None:
    entry = fields(RPCS["torchserve"].request(b"payload", 0.5))[3]
    assert isinstance(entry, bytes)
    assert fields(entry) == {1: b"body", 2: b"payload"}


def fields(message: bytes) -> dict[int, object]:
    """By number, as Protocol Buffers' own parser finds them in a message that it does not know."""
    unknown: Any = UnknownFieldSet(empty_pb2.Empty.FromString(message))
    return {field.field_number: field.data for field in unknown}


@pytest.mark.parametrize("task", WIRES)
def test_answer_is_known_behind_what_a_protocol_puts_before_it_and_from_another(task: str) -> None:
    wire, module = WIRES[task], MODULES[task]
    one, other = (wire.to_answer(output) for output in module.load("fp32", 1)([module.make_input(n) for n in (0, 1)]))
    assert wire.alike(b"\x0a\x07head" + one, one)
    assert not wire.alike(other, one)
    assert not wire.alike(b"error", one)


@pytest.mark.parametrize("task", WIRES)
def test_peers_get_the_inputs_that_the_module_has(task: str) -> None:
    wire = WIRES[task]
    assert wire.to_input(wire.payload(7)) == MODULES[task].make_input(7)
