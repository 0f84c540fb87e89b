"""What the Python client says to mistakes: one tree of errors, Python's own for types and files, none read in vain."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.client import AsyncDiptych, Diptych
from gateway.client.retries import ClientClosedError, GatewayUnreachableError, NotAGatewayError
from gateway.command_line.local import choose_ports
from shared.codes import Reason
from shared.errors import ConfigurationError, DiptychError, InvalidArgumentError, OverloadedError
from shared.limits import IMAGE_BYTES
from tests.gateway.fake_gateway import Running
from tests.gateway.fake_services import FakeReplica


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


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda d: d.text_to_image(None), "prompt is None; it must be a str"),
        (lambda d: d.text_to_image("cat", format=None), "format is None; it must be a str"),
        (lambda d: d.encode_text(["cat", 7]), r"texts\[1\] is 7; it must be a str"),
        (lambda d: d.classify_image(b"1", "cat,dog"), "labels is one text, 'cat,dog'; it must be a list"),
        (lambda d: d.classify_image(b"1", [b"cat"]), r"labels\[0\] is b'cat'"),
    ],
)
def test_argument_of_a_wrong_type_is_a_type_error_that_names_it(
    diptych: Diptych, gateway: Running, call: Callable[[Any], object], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        call(diptych)
    assert gateway.behaviour.calls == []


def test_refused_connection_has_a_reason() -> None:
    nowhere = f"127.0.0.1:{choose_ports(0)['gateway'].grpc}"
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
