"""With nothing but reflection and `buf curl` a stranger finds the services and uses them."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.end_to_end.calls import Connect, text_encoding
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file, pixels_of
from tests.end_to_end.servers import GRPC_SERVICES, SERVERS, Server

BUF = shutil.which("buf", path=str(Path(sys.executable).parent)) or "buf"


def buf_curl(server: Server, method: str, request: dict[str, Any]) -> Any:
    """The answer of `buf curl` without any proto file at hand."""
    completed = subprocess.run(
        [
            BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", "@-",
            f"http://{server.address}/{GRPC_SERVICES[server.name]}/{method}",
        ],
        input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False,
        cwd="/",  # no buf.yaml to be found there
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)


@pytest.mark.parametrize("name", SERVERS)
def test_reflection_lists_the_service_and_health(name: str, platform: Platform) -> None:
    with grpc.insecure_channel(platform[name].address) as channel:
        names = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {GRPC_SERVICES[name], "grpc.health.v1.Health"} <= names


@pytest.mark.parametrize("name", SERVERS)
def test_reflection_describes_every_message_of_the_service(name: str, platform: Platform) -> None:
    with grpc.insecure_channel(platform[name].address) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName(GRPC_SERVICES[name])

        for method in service.methods:
            assert method.input_type.fields or method.name in ("GetModel", "GetCapabilities")  # they ask for all
            assert method.output_type.fields


def test_buf_curl_encodes_a_text(platform: Platform) -> None:
    answer = buf_curl(platform.text, "EncodeText", {"texts": ["一只黑猫"]})

    assert len(answer["encodings"][0]["vector"]) == 32
    assert answer["model"]["name"] == "tiny-text"


def test_buf_curl_classifies_a_jpeg(platform: Platform) -> None:
    picture = base64.b64encode(picture_file("JPEG")).decode()

    answer = buf_curl(platform.classification, "ClassifyImage", {"images": [picture], "topK": 3})

    assert len(answer["classifications"][0]["labels"]) == 3


def test_buf_curl_gets_a_png_of_the_generation_service(platform: Platform) -> None:
    encoding = buf_curl(platform.text, "EncodeText", {"texts": ["a cat"]})["encodings"][0]

    answer = buf_curl(platform.generation, "GenerateImage", {"encoding": encoding, "seeds": ["18446744073709551615"]})

    assert pixels_of(base64.b64decode(answer["images"][0]["image"]["data"]))[0] == (32, 32)
    assert answer["images"][0]["seed"] == "18446744073709551615"


def test_buf_curl_gets_a_png_of_the_gateway(platform: Platform) -> None:
    answer = buf_curl(platform.gateway, "TextToImage", {"prompt": "a cat"})

    assert pixels_of(base64.b64decode(answer["images"][0]["image"]["data"]))[0] == (32, 32)


async def test_buf_curl_of_an_encoding_and_a_typed_client_agree(platform: Platform, connect: Connect) -> None:
    typed = await text_encoding(connect(platform.text), "a dog")

    answer = await asyncio.to_thread(buf_curl, platform.text, "EncodeText", {"texts": ["a dog"]})

    assert answer["encodings"][0]["vector"] == pytest.approx(list(typed.vector), rel=1e-5)
