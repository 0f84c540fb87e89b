"""What callers of the playground's port can take of the gateway: bytes, connections and time, all of it bounded."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.settings import GatewaySettings
from gateway.web.bodies import PATH, body_limits
from shared.codes import Reason
from tests.gateway.fake_pictures import painted
from tests.gateway.web.playground import HOST, SERVICE, Playground, ask, ask_json, running_playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEBI = 1024 * 1024
PICTURE = base64.b64encode(painted(7, 5).data).decode()
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def _head(method: str, length: int) -> bytes:
    return (
        f"POST {SERVICE}{method} HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: application/json\r\n"
        f"content-length: {length}\r\n\r\n"
    ).encode()


@asynccontextmanager
async def _sent(playground: Playground, data: bytes = b"") -> AsyncIterator[Connection]:
    """A connection over which `data` went."""
    reader, writer = await asyncio.open_connection(HOST, playground.port)
    try:
        writer.write(data)
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()


async def _answer(connection: Connection) -> bytes:
    """Head and body of one answer, in one chunk or with a length."""
    async with asyncio.timeout(20):
        head = await connection[0].readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        size = int(length[1]) if length else int(await connection[0].readline(), 16)
        return head + await connection[0].readexactly(size)


async def _ended(connection: Connection) -> None:
    """Waits until the server has closed or cut it."""
    with suppress(ConnectionError):
        await asyncio.wait_for(connection[0].read(), 20)


def _reason(body: bytes) -> str:
    [info] = [each for each in json.loads(body)["details"] if each["type"] == "google.rpc.ErrorInfo"]
    name = base64.b64decode(info["value"] + "==").split(b"\x12")[0][2:]
    return name.decode()


async def test_methods_without_pictures_have_a_small_bound() -> None:
    most = {path.removeprefix(PATH): most for path, most in body_limits(GatewaySettings()).most_bytes.items()}
    assert {name for name, bound in most.items() if bound is None} == {"ImageToText", "ClassifyImage", "EncodeImage"}
    assert {bound for bound in most.values() if bound is not None} == {256 * 500 * 12}


async def test_largest_request_that_the_settings_allow_is_within_its_bound(playground: Playground) -> None:
    texts = ["🐈" * 500] * 64
    body = json.dumps({"texts": texts}).encode()
    assert len(body) > 256 * 1024
    assert (await ask_json(playground, "EncodeText", body)).status in (200, 400)


async def test_request_that_is_too_large_is_refused_by_its_head_alone(playground: Playground) -> None:
    async with _sent(playground, _head("EncodeText", 60 * MEBI)) as connection:
        head, _, body = (await _answer(connection)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert _reason(body) == Reason.REQUEST_TOO_LARGE.name


async def test_request_of_untold_length_is_refused_once_it_is_too_large(playground: Playground) -> None:
    head = _head("EncodeText", 0).replace(b"content-length: 0", b"transfer-encoding: chunked")
    async with _sent(playground, head) as connection:
        for _ in range(3):
            connection[1].write(b"100000\r\n" + b" " * MEBI + b"\r\n")
        assert (await _answer(connection)).startswith(b"HTTP/1.1 400")


async def test_refusals_of_bodies_are_counted(playground: Playground) -> None:
    def count() -> float:
        labels = {"method": "diptych.gateway.v1.GatewayService/EncodeText", "code": "INVALID_ARGUMENT"}
        return playground.platform.registry.get_sample_value("diptych_rpc_requests_total", labels) or 0

    before = count()
    assert (await ask_json(playground, "EncodeText", b" " * 3 * MEBI)).status == 400
    assert count() == before + 1


async def _refused_by_its_head(playground: Playground, length: int) -> bytes:
    """The answer to a call of which the head alone is sent, again and again until it is refused."""
    while True:
        async with _sent(playground, _head("ImageToText", length)) as connection:
            with suppress(TimeoutError):
                return await asyncio.wait_for(_answer(connection), 0.2)


async def test_bodies_under_way_are_bounded_together_and_give_their_bytes_back() -> None:
    request = json.dumps({"images": [PICTURE]}).encode()
    async with running_playground(web_body_bytes=4 * MEBI) as playground:
        async with _sent(playground, _head("ImageToText", 3 * MEBI) + b" " * (3 * MEBI - 1)) as unfinished:
            head, _, body = (await _refused_by_its_head(playground, MEBI + 2)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 429") and _reason(body) == Reason.QUEUE_FULL.name
            assert (await ask_json(playground, "ImageToText", request)).status == 200
            unfinished[1].write(b" ")
            assert (await _answer(unfinished)).startswith(b"HTTP/1.1 400")  # read to its end, and no JSON
        assert (await ask_json(playground, "ImageToText", b" " * 3 * MEBI + request)).status == 200


async def test_body_that_is_alone_may_have_more_than_all_together() -> None:
    async with running_playground(web_body_bytes=MEBI) as playground:
        body = b" " * 2 * MEBI + json.dumps({"images": [PICTURE]}).encode()
        assert (await ask_json(playground, "ImageToText", body)).status == 200


async def test_body_that_does_not_arrive_ends_the_call() -> None:
    async with running_playground(web_read_seconds=0.3) as playground:
        async with _sent(playground, _head("ImageToText", 1000) + b'{"images"') as connection:
            head, _, body = (await _answer(connection)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 504")
            assert "the request did not arrive within 0.3 s" in json.loads(body)["message"]
            await _ended(connection)


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\nhost: ", b"GET /favicon.svg HTTP/1.1\r\nhost: localhost\r\n\r\nGET"]
)
async def test_connection_without_a_request_is_ended(begun: bytes) -> None:
    async with (
        running_playground(web_read_seconds=0.3) as playground,
        _sent(playground, begun) as connection,
    ):
        await _ended(connection)


async def test_call_may_take_longer_than_its_request(playground: Playground) -> None:
    async with running_playground(web_read_seconds=0.2) as patient:
        patient.generation.delay_seconds = 0.6
        answer = await ask_json(patient, "TextToImage", {"prompt": "a cat"})
    assert answer.status == 200


async def test_further_connections_get_503_until_one_ends() -> None:
    async with running_playground(web_connections=2) as playground:
        async with _sent(playground), _sent(playground):
            async with _sent(playground) as third:
                assert (await _answer(third)).startswith(b"HTTP/1.1 503")
        while (await ask(playground, "/")).status == 503:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("size", [10_000, 100_000, 2 * MEBI])
async def test_request_of_every_size_is_parsed_to_the_same(playground: Playground, size: int) -> None:
    body = b" " * size + json.dumps({"images": [PICTURE]}).encode()
    assert (await ask_json(playground, "ImageToText", body)).status == 200
    assert playground.platform.classification[0].calls[0].request.images == [painted(7, 5).data]
