"""Calls over Connect and gRPC-Web: the same answers, errors and limits as over gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from diptych.gateway.v1 import gateway_connect, gateway_pb2
from gateway.provenance import read_provenance
from shared.codes import Reason
from shared.errors import OverloadedError
from tests.gateway.sharing import Joined, until
from tests.gateway.sharing import ask as ask_grpc
from tests.gateway.web.playground import SERVICE, Answer, Playground, ask, ask_json, running_playground
from tests.hostile_requests import EMPTY_FIRST_FIELDS

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROTOCOLS = [ProtocolType.CONNECT, ProtocolType.GRPC_WEB]
CAT: dict[str, Any] = {"prompt": "a cat", "seeds": ["7"]}


def _client(playground: Playground, protocol: ProtocolType) -> gateway_connect.GatewayServiceClient:
    return gateway_connect.GatewayServiceClient(playground.url.rstrip("/"), protocol=protocol, send_compression=None)


def _details(answer: Answer) -> dict[str, bytes]:
    return {each["type"]: base64.b64decode(each["value"] + "==") for each in answer.json["details"]}


def _detail(found: dict[str, bytes], kind: type[Message]) -> Any:
    return kind.FromString(found[kind.DESCRIPTOR.full_name])


async def test_json_call_answers_as_grpc_does(playground: Playground) -> None:
    answer = await ask_json(playground, "TextToImage", CAT)
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])
    over_grpc = await playground.platform.stub.TextToImage(request)
    assert answer.status == 200
    assert base64.b64decode(answer.json["images"][0]["image"]["data"]) == over_grpc.images[0].image.data


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_unary_call_in_binary(playground: Playground, protocol: ProtocolType) -> None:
    answer = await _client(playground, protocol).text_to_image(
        gateway_pb2.TextToImageRequest(prompt="一只猫", seeds=[7])
    )
    provenance = read_provenance(answer.images[0].image.data)
    assert provenance is not None and provenance.prompt == "一只猫"


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_stream_brings_each_picture_when_it_is_ready(playground: Playground, protocol: ProtocolType) -> None:
    playground.generation.gate = asyncio.Semaphore(0)
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", seeds=[1, 2, 3])
    stream = aiter(_client(playground, protocol).stream_text_to_image(request))
    seen = []
    for _ in range(3):
        playground.generation.gate.release()
        seen.append((await asyncio.wait_for(anext(stream), 20)).image.seed)
    assert sorted(seen) == [1, 2, 3]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_error_keeps_code_words_and_details(playground: Playground, protocol: ProtocolType) -> None:
    with pytest.raises(ConnectError, match="prompt has 612 characters; the limit is 500") as caught:
        await _client(playground, protocol).text_to_image(gateway_pb2.TextToImageRequest(prompt="x" * 612))
    assert caught.value.code is Code.INVALID_ARGUMENT
    found = {each.type_name: each.message_bytes for each in caught.value.details}
    info = _detail(found, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (Reason.TEXT_TOO_LONG.name, "diptych")
    assert _detail(found, error_details_pb2.BadRequest).field_violations[0].field == "prompt"


async def test_busy_service_says_in_json_when_to_come_back(playground: Playground) -> None:
    playground.generation.error = lambda: OverloadedError("full", reason=Reason.QUEUE_FULL, retry_after_seconds=1.5)
    answer = await ask_json(playground, "TextToImage", CAT)
    assert (answer.status, answer.json["code"]) == (429, "resource_exhausted")
    assert _detail(_details(answer), error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1500


async def test_error_ends_a_stream_after_the_pictures_before_it(playground: Playground) -> None:
    answer = await ask(
        playground,
        SERVICE + "StreamTextToImage",
        method="POST",
        headers={"content-type": "application/connect+json"},
        body=_envelope({"prompt": " "}),
    )
    flags, length = struct.unpack(">BI", answer.body[:5])
    end = json.loads(answer.body[5 : 5 + length])
    assert (answer.status, flags) == (200, 2)
    assert end["error"]["code"] == "invalid_argument"
    assert len(end["metadata"]["x-request-id"][0]) == 32


def _envelope(message: object) -> bytes:
    data = json.dumps(message).encode()
    return struct.pack(">BI", 0, len(data)) + data


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"[1]",
        b'{"prompt": 3}',
        b'{"prompt": "\xff"}',
        b'{"prompt": "\\ud800"}',
        b'{"seeds": [-1]}',
        b"[" * 9999,
    ],
)
async def test_bytes_that_are_no_message_are_the_callers_fault(playground: Playground, body: bytes) -> None:
    answer = await ask_json(playground, "TextToImage", body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")
    assert _detail(_details(answer), error_details_pb2.ErrorInfo).reason == Reason.MALFORMED_MESSAGE.name


async def test_unknown_fields_are_passed_over(playground: Playground) -> None:
    assert (await ask_json(playground, "TextToImage", {**CAT, "colour": "red"})).status == 200


@pytest.mark.parametrize("key", ["x-request-id", "diptych-caller"])
@pytest.mark.parametrize("value", [b"a\tb", "é".encode(), b"x" * 129], ids=("tab", "e acute", "long"))
async def test_metadata_that_grpc_could_not_carry_is_the_callers_fault(
    playground: Playground, key: str, value: bytes
) -> None:
    answer = await ask(
        playground,
        f"{SERVICE}EncodeText",
        method="POST",
        headers={"content-type": "application/json", key: value.decode("latin-1")},
        body=b'{"texts": ["a"]}',
    )
    found = _details(answer)
    assert answer.status == 400
    assert _detail(found, error_details_pb2.ErrorInfo).reason == Reason.METADATA_INVALID.name
    assert _detail(found, error_details_pb2.BadRequest).field_violations[0].field == key


async def test_message_beyond_the_limit_is_refused() -> None:
    async with running_playground(max_message_bytes=2048) as playground:
        answer = await ask_json(playground, "TextToImage", {"prompt": "x" * 3000})
        assert (answer.status, answer.json["code"]) == (429, "resource_exhausted")
        assert (await ask_json(playground, "GetCapabilities", {})).status == 200


async def test_compressed_message_is_refused(playground: Playground) -> None:
    answer = await ask_json(playground, "TextToImage", b"\x1f\x8b", content_encoding="gzip")
    assert answer.json["code"] == "unimplemented"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_calls_are_posts_only_and_no_other_site_may_make_them(playground: Playground, method: str) -> None:
    answer = await ask(
        playground,
        SERVICE + "GetCapabilities",
        method=method,
        headers={"content-type": "application/json", "origin": "http://evil.example"},
    )
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_form_of_another_site_is_no_call(playground: Playground) -> None:
    path = SERVICE + "TextToImage"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await ask(playground, path, method="POST", headers={"content-type": kind}, body=b'{"prompt": "x"}')
        assert answer.status == 415, kind
    assert playground.platform.text[0].calls == []


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "Application/gRPC; x=y"])
async def test_grpc_itself_is_told_to_go_to_its_port(
    playground: Playground, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(
        playground,
        SERVICE + "GetCapabilities",
        method="POST",
        headers={"content-type": content_type},
        body=bytes(5),
    )
    assert (answer.status, b"gRPC has another port" in answer.body) == (415, True)
    assert caplog.records == []


async def test_headers_become_the_context_of_the_call(playground: Playground) -> None:
    answer = await ask_json(
        playground, "TextToImage", CAT, x_request_id="req-9", diptych_caller="tester", diptych_priority="batch"
    )
    context = playground.generation.calls[0].context
    assert (context.request_id, context.caller, context.priority) == ("req-9", "tester", "batch")
    assert answer.headers["trailer-x-request-id"] == "req-9"


async def test_wrong_priority_is_refused(playground: Playground) -> None:
    answer = await ask_json(playground, "TextToImage", CAT, diptych_priority="now")
    assert answer.status == 400
    assert _detail(_details(answer), error_details_pb2.ErrorInfo).reason == Reason.METADATA_INVALID.name


async def test_call_over_connect_joins_an_equal_one_over_grpc(playground: Playground) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])
    joined = Joined(playground.platform, "generation")
    playground.generation.released.clear()
    over_grpc = asyncio.ensure_future(ask_grpc(playground.platform.stub.TextToImage, request))
    await until(lambda: playground.generation.calls)
    over_connect = asyncio.ensure_future(ask_json(playground, "TextToImage", CAT))
    await joined.are(1)
    playground.generation.released.set()
    [image] = (await over_connect).json["images"]
    assert base64.b64decode(image["image"]["data"]) == (await over_grpc).images[0].image.data
    assert len(playground.generation.calls) == 1


async def test_deadline_of_the_caller_reaches_the_services(playground: Playground) -> None:
    await ask_json(playground, "TextToImage", CAT, connect_timeout_ms="60000")
    remaining = playground.generation.calls[0].remaining_seconds
    assert remaining is not None and 30 < remaining < 61


async def test_deadline_ends_a_call(playground: Playground) -> None:
    playground.generation.delay_seconds = 30
    answer = await ask_json(playground, "TextToImage", CAT, connect_timeout_ms="400")
    assert answer.json["code"] == "deadline_exceeded"
    await asyncio.wait_for(playground.generation.cancelled.wait(), 20)


async def test_calls_are_counted_with_those_of_grpc(playground: Playground) -> None:
    def count(code: str) -> float:
        labels = {"method": "diptych.gateway.v1.GatewayService/EncodeText", "code": code}
        return playground.platform.registry.get_sample_value("diptych_rpc_requests_total", labels) or 0

    before = count("OK"), count("INVALID_ARGUMENT")
    await ask_json(playground, "EncodeText", {"texts": ["a cat"]})
    await ask_json(playground, "EncodeText", b"{")
    assert (count("OK"), count("INVALID_ARGUMENT")) == (before[0] + 1, before[1] + 1)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/proto", EMPTY_FIRST_FIELDS), ("application/json", b'{"texts":[' + b'"",' * 1_000_000 + b'""]}')],
    ids=("binary", "JSON"),
)
async def test_heavy_request_is_refused_unread(playground: Playground, content_type: str, body: bytes) -> None:
    answer = await ask(
        playground, f"{SERVICE}EncodeText", method="POST", headers={"content-type": content_type}, body=body
    )
    info = _detail(_details(answer), error_details_pb2.ErrorInfo)
    assert (answer.status, info.reason) == (400, Reason.REQUEST_TOO_LARGE.name)
