"""What the Python client says to mistakes: one tree of errors, Python's own for types and files, none read in vain."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.client import AsyncDiptych, Diptych
from gateway.client.retries import ClientClosedError, GatewayUnreachableError, NotAGatewayError
from gateway.command_line.console import StoppedError
from shared.codes import Reason
from shared.errors import (
    MESSAGE_BYTES,
    ConfigurationError,
    DiptychError,
    InvalidArgumentError,
    OverloadedError,
    SpaceMismatchError,
    UnavailableError,
)
from shared.limits import IMAGE_BYTES
from tests.gateway.fake_gateway import Running
from tests.gateway.fake_services import FakeReplica
from tests.ports import free_port


@pytest.fixture
def gateway(fake_gateway: Running) -> Running:
    """A gateway that has seen nothing yet."""
    return fake_gateway


@pytest.fixture
def diptych(gateway: Running) -> Iterator[Diptych]:
    """A client of it."""
    with Diptych(gateway.address) as client:
        yield client


@pytest.fixture
def web_address() -> Iterator[str]:
    """Of a server that speaks HTTP/1.1 alone."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


async def test_closed_client_says_so_in_the_tree(gateway: Running) -> None:
    with Diptych(gateway.address) as blocking:
        blocking.encode_text("cat")
    with pytest.raises(ClientClosedError, match="this client is closed"):
        blocking.encode_text("cat")
    with pytest.raises(ClientClosedError):
        list(blocking.stream_text_to_image("cat"))
    async with AsyncDiptych(gateway.address) as awaited:
        await awaited.encode_text("cat")
    with pytest.raises(ClientClosedError):
        await awaited.encode_text("cat")
    assert issubclass(ClientClosedError, DiptychError)


@pytest.mark.parametrize("streamed", [False, True], ids=["answer", "stream"])
async def test_call_under_way_that_close_ends_says_so_and_cancels_nobody(gateway: Running, streamed: bool) -> None:
    gateway.behaviour.delay_seconds = 1.0
    client = AsyncDiptych(gateway.address)

    async def call() -> object:
        return (
            [each async for each in client.stream_text_to_image("cat")] if streamed else await client.encode_text("x")
        )

    task = asyncio.create_task(call())
    await _seen_by(gateway)
    await client.close()
    with pytest.raises(ClientClosedError):
        await task
    assert not task.cancelled()


@pytest.mark.parametrize("streamed", [False, True], ids=["answer", "stream"])
async def test_blocking_call_under_way_that_close_ends_says_so(gateway: Running, streamed: bool) -> None:
    gateway.behaviour.delay_seconds = 1.0
    client = Diptych(gateway.address)
    call = (lambda: list(client.stream_text_to_image("cat"))) if streamed else (lambda: client.encode_text("cat"))
    task = asyncio.create_task(asyncio.to_thread(call))
    await _seen_by(gateway)
    client.close()
    with pytest.raises(ClientClosedError):
        await task


async def test_task_that_its_owner_cancels_is_cancelled_by_a_closing_client_too(gateway: Running) -> None:
    gateway.behaviour.delay_seconds = 1.0
    client = AsyncDiptych(gateway.address)
    task = asyncio.ensure_future(client.encode_text("cat"))
    await _seen_by(gateway)
    task.cancel()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _seen_by(gateway: Running) -> None:
    while not gateway.behaviour.calls:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda d: d.text_to_image(None), "prompt is None; it must be a str"),
        (lambda d: d.text_to_image("cat", format=None), "format is None; it must be a str"),
        (lambda d: d.encode_text(["cat", 7]), r"texts\[1\] is 7; it must be a str"),
        (lambda d: d.classify_image(b"1", "cat,dog"), "labels is one text, 'cat,dog'; it must be a list"),
        (lambda d: d.classify_image(b"1", [b"cat"]), r"labels\[0\] is b'cat'"),
        (lambda d: d.encode_image(None), r"images\[0\] is None; it must be a path, the bytes of a file, or a Picture"),
    ],
)
def test_argument_of_a_wrong_type_is_a_type_error_that_names_it(
    diptych: Diptych, gateway: Running, call: Callable[[Any], object], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        call(diptych)
    assert gateway.behaviour.calls == []


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_one_picture(diptych: Diptych, gateway: Running, kind: Callable[[bytes], Any]) -> None:
    diptych.encode_image(kind(b"\x89PNG"))
    diptych.encode_image([kind(b"\x89PNG"), b"1"])
    sent = [list(call.request.images) for call in gateway.behaviour.calls]
    assert sent == [[b"\x89PNG"], [b"\x89PNG", b"1"]]


@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: [number]], ids=["alone", "in a list"])
def test_number_is_no_file_and_its_descriptor_stays_open(diptych: Diptych, wrap: Callable[[int], Any]) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(TypeError, match=rf"images\[0\] is {reading}; it must be a path"):
        diptych.encode_image(wrap(reading))
    os.close(reading)  # which raises where it is closed already


def test_refused_connection_has_a_reason() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with Diptych(nowhere, retries=0) as diptych, pytest.raises(GatewayUnreachableError) as caught:
        diptych.encode_text("cat")
    assert caught.value.reason is Reason.GATEWAY_UNREACHABLE


@pytest.mark.parametrize(
    "address", ["foo", "127.0.0.1", "127.0.0.1:", ":50051", "http://127.0.0.1:50051", "a b:1", "::1:50051", ""]
)
@pytest.mark.parametrize("client", [Diptych, AsyncDiptych])
def test_address_that_is_none_is_refused_at_once(client: Callable[[str], object], address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"it must be host:port, such as 127\.0\.0\.1:50051"):
        client(address)


@pytest.mark.parametrize("address", ["localhost:1", "[::1]:50051", "dns:///gateway:50051", "unix:/run/diptych.sock"])
def test_address_of_any_kind_that_grpc_knows_is_taken(address: str) -> None:
    Diptych(address).close()


def test_port_of_the_playground_is_told_from_a_gateway(web_address: str) -> None:
    with Diptych(web_address) as diptych, pytest.raises(NotAGatewayError, match=f"{web_address} is not a gRPC port"):
        diptych.encode_text("cat")


async def test_model_service_is_told_from_a_gateway() -> None:
    async with FakeReplica("text") as replica, AsyncDiptych(replica.address) as diptych:
        with pytest.raises(NotAGatewayError, match=f"what answers at {replica.address} is not a gateway"):
            await diptych.capabilities()


@pytest.mark.parametrize("suffix", ["gif", "BMP", "tiff"])
def test_picture_is_not_saved_under_the_name_of_a_format_that_none_has(
    diptych: Diptych, tmp_path: Path, suffix: str
) -> None:
    picture = diptych.text_to_image("cat", seed=1)[0]
    with pytest.raises(ValueError, match=f"{suffix.lower()} is not an output format; known are png, jpeg, webp"):
        picture.save(tmp_path / f"cat.{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_huge_file_is_refused_unread(diptych: Diptych, gateway: Running, tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(3 * 1024**4)  # reading it would take hours, and more memory than there is
    with pytest.raises(InvalidArgumentError, match=rf"images\[1\] has {3 * 1024**4} bytes; the limit is") as caught:
        diptych.image_to_text([b"1", tmp_path / "huge.png"])
    assert (caught.value.reason, caught.value.field) == (Reason.IMAGE_TOO_LARGE, "images[1]")
    assert gateway.behaviour.calls == []


@pytest.mark.parametrize("image", ["/dev/zero", bytes(IMAGE_BYTES + 1)], ids=["endless", "bytes"])
def test_more_than_a_gateway_takes_is_not_sent(diptych: Diptych, gateway: Running, image: str | bytes) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"images\[0\] has more than {IMAGE_BYTES} bytes"):
        diptych.encode_image(image)
    assert gateway.behaviour.calls == []


def test_picture_of_the_largest_size_is_sent(diptych: Diptych, gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(1024 * 1024))
    assert diptych.image_to_text(tmp_path / "large.png", language="en")[0].text == "en: 1048576 bytes, 1"


def test_picture_comes_from_a_pipe_as_well(diptych: Diptych, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"12345"])
    writer.start()
    assert diptych.image_to_text(pipe, language="en")[0].text == "en: 5 bytes, 1"
    writer.join()


def test_call_of_too_many_bytes_says_what_to_send(diptych: Diptych) -> None:
    with pytest.raises(OverloadedError, match="send fewer or smaller pictures a call"):
        diptych.encode_image(bytes(5 * 1024 * 1024))


def test_text_that_no_gateway_takes_is_not_sent(diptych: Diptych, gateway: Running) -> None:
    with pytest.raises(InvalidArgumentError, match=r"prompt has 30000000 characters; no gateway takes more") as caught:
        diptych.text_to_image("x" * 30_000_000)
    assert (caught.value.reason, caught.value.field) == (Reason.TEXT_TOO_LONG, "prompt")
    assert gateway.behaviour.calls == []


def test_message_about_a_name_that_is_not_utf_8_can_be_said() -> None:
    name = os.fsdecode(b"evil\xff.png")
    assert str(UnavailableError(name)) == name
    assert len(str(UnavailableError(name * 1000)).encode(errors="surrogatepass")) <= MESSAGE_BYTES


def _kinds(root: type[DiptychError]) -> Iterator[type[DiptychError]]:
    yield root
    for kind in root.__subclasses__():
        if kind.__module__.startswith(("gateway.", "shared.", "services.")):
            yield from _kinds(kind)


MADE: dict[type[DiptychError], Callable[[], DiptychError]] = {
    SpaceMismatchError: lambda: SpaceMismatchError(got="a", served="b"),
    OverloadedError: lambda: OverloadedError("full", reason=Reason.QUEUE_FULL, retry_after_seconds=2.0),
    InvalidArgumentError: lambda: InvalidArgumentError("no", reason=Reason.FIELD_INVALID, field="images[3]"),
    ClientClosedError: ClientClosedError,
    StoppedError: lambda: StoppedError(UnavailableError("gone", reason=Reason.NOT_SERVING), "gone; 3 of 8 done"),
}
"""Errors that are not made of a message alone, or have more to keep."""


@pytest.mark.parametrize("kind", sorted(set(_kinds(DiptychError)), key=str))
def test_every_error_crosses_to_another_process_whole(kind: type[DiptychError]) -> None:
    error = MADE.get(kind, lambda: kind("oops"))()
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, str(error))
    assert {name: str(value) for name, value in vars(again).items()} == {k: str(v) for k, v in vars(error).items()}
