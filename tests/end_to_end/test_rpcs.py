"""Each RPC of each service is called over a real socket, and its answer says who answered and what it cost."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor

import diptych
from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2, model_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, encode, generate, image_encoding, text_encoding
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import frozen_model
from tests.end_to_end.pictures import picture_file, pixels_of
from tests.end_to_end.servers import GRPC_SERVICES, SERVICES

Rpc = Callable[[Platform, Connect], Awaitable[Any]]
"""Makes a call that must be answered, and returns the answer."""
RPCS: dict[str, Rpc] = {}
"""A call for each RPC, by `package.Service/Method`."""


def rpc(method: str) -> Callable[[Rpc], Rpc]:
    """Enters a function into RPCS."""
    return lambda call: RPCS.setdefault(method, call)


@rpc("diptych.text.v1.TextEncodingService/EncodeText")
async def encode_text(platform: Platform, connect: Connect) -> Any:
    answer = await encode(connect(platform.text), "a cat", "一只猫")
    assert [sum(x * x for x in one.vector) for one in answer.encodings] == pytest.approx([1.0, 1.0], rel=1e-3)
    assert answer.encodings[0].vector != answer.encodings[1].vector
    return answer


@rpc("diptych.classification.v1.ClassificationService/ClassifyImage")
async def classify_image(platform: Platform, connect: Connect) -> Any:
    request = classification_pb2.ClassifyImageRequest(
        images=[picture_file("JPEG"), picture_file("PNG")], top_k=2, language="zh", include_encodings=True
    )
    answer = await connect(platform.classification).classification.ClassifyImage(request, timeout=CALL_SECONDS)
    assert [len(one.labels) for one in answer.classifications] == [2, 2]
    for one in answer.classifications:
        assert one.labels[0].probability >= one.labels[1].probability > 0
        assert len(one.encoding.tokens) % (2 * one.encoding.token_width) == 0
    return answer


@rpc("diptych.generation.v1.GenerationService/GenerateImage")
async def generate_image(platform: Platform, connect: Connect) -> Any:
    encoding = await text_encoding(connect(platform.text))
    answer = await generate(connect(platform.generation), encoding, 7, 2**64 - 1)
    assert [one.seed for one in answer.images] == [7, 2**64 - 1]
    for one in answer.images:
        assert one.image.format == image_pb2.IMAGE_FORMAT_PNG
        assert pixels_of(one.image.data)[0] == (one.image.width, one.image.height)
    return answer


@rpc("diptych.captioning.v1.CaptioningService/GenerateCaption")
async def generate_caption(platform: Platform, connect: Connect) -> Any:
    encoding = await image_encoding(connect(platform.classification))
    request = captioning_pb2.GenerateCaptionRequest(encodings=[encoding, encoding], language="zh")
    answer = await connect(platform.captioning).captioning.GenerateCaption(request, timeout=CALL_SECONDS)
    assert len(answer.results) == 2
    assert all(one.captions[0].score <= 0 for one in answer.results)
    return answer


def get_model(name: str) -> Rpc:
    """GetModel of a model service."""

    async def call(platform: Platform, connect: Connect) -> Any:
        module = importlib.import_module(GRPC_SERVICES[name].rpartition(".")[0] + f".{FILES.get(name, name)}_pb2")
        stub = getattr(connect(platform[name]), name)
        return await stub.GetModel(module.GetModelRequest(), timeout=CALL_SECONDS)

    return call


FILES = {"text": "text_encoding"}
for _name, _service in SERVICES.items():
    rpc(f"{_service}/GetModel")(get_model(_name))


@rpc("diptych.gateway.v1.GatewayService/TextToImage")
async def text_to_image(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", image_count=3)
    answer = await connect(platform.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS)
    first = answer.images[0].seed
    assert [one.seed for one in answer.images] == [first, first + 1, first + 2]
    assert len({pixels_of(one.image.data) for one in answer.images}) == 3
    return answer


@rpc("diptych.gateway.v1.GatewayService/ImageToText")
async def image_to_text(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.ImageToTextRequest(images=[picture_file(), picture_file("PNG")], language="en", top_k=2)
    answer = await connect(platform.gateway).gateway.ImageToText(request, timeout=CALL_SECONDS)
    assert [len(one.captions) for one in answer.descriptions] == [1, 1]
    assert [len(one.labels) for one in answer.descriptions] == [2, 2]
    return answer


@rpc("diptych.gateway.v1.GatewayService/ClassifyImage")
async def gateway_classify_image(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.ClassifyImageRequest(images=[picture_file()], top_k=2**32 - 1)
    answer = await connect(platform.gateway).gateway.ClassifyImage(request, timeout=CALL_SECONDS)
    assert sum(label.probability for label in answer.results[0].labels) == pytest.approx(1.0, abs=1e-3)
    return answer


@rpc("diptych.gateway.v1.GatewayService/EncodeText")
async def gateway_encode_text(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.EncodeTextRequest(texts=["a cat", "a dog", "一只猫"])
    answer = await connect(platform.gateway).gateway.EncodeText(request, timeout=CALL_SECONDS)
    assert len(answer.encodings) == 3
    return answer


@rpc("diptych.gateway.v1.GatewayService/StreamTextToImage")
async def stream_text_to_image(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", image_count=3)
    stub = connect(platform.gateway).gateway
    answers = [answer async for answer in stub.StreamTextToImage(request, timeout=CALL_SECONDS)]
    assert sorted(answer.index for answer in answers) == [0, 1, 2]
    return answers[0]


@rpc("diptych.gateway.v1.GatewayService/EncodeImage")
async def gateway_encode_image(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.EncodeImageRequest(images=[picture_file(), picture_file("PNG")])
    answer = await connect(platform.gateway).gateway.EncodeImage(request, timeout=CALL_SECONDS)
    assert [sum(x * x for x in one.vector) for one in answer.encodings] == pytest.approx([1.0, 1.0], rel=1e-3)
    return answer


@rpc("diptych.gateway.v1.GatewayService/GetCapabilities")
async def get_capabilities(platform: Platform, connect: Connect) -> Any:
    request = gateway_pb2.GetCapabilitiesRequest()
    answer = await connect(platform.gateway).gateway.GetCapabilities(request, timeout=CALL_SECONDS)
    assert [service.name for service in answer.services] == list(SERVICES)
    return answer


STAGES = {
    "TextToImage": ["text.v1.TextEncodingService/EncodeText", "generation.v1.GenerationService/GenerateImage"],
    "ImageToText": [
        "classification.v1.ClassificationService/ClassifyImage", "captioning.v1.CaptioningService/GenerateCaption"
    ],
    "StreamTextToImage": ["text.v1.TextEncodingService/EncodeText", "generation.v1.GenerationService/GenerateImage"],
    "EncodeImage": ["classification.v1.ClassificationService/ClassifyImage"],
    "ClassifyImage": ["classification.v1.ClassificationService/ClassifyImage"],
    "EncodeText": ["text.v1.TextEncodingService/EncodeText"],
}  # fmt: skip


def services_in_protos() -> Iterator[ServiceDescriptor]:
    """Every service of diptych.*.v1, from the generated modules."""
    for root in map(Path, diptych.__path__):
        for file in root.rglob("*_pb2.py"):
            module = ".".join(("diptych", *file.relative_to(root).with_suffix("").parts))
            yield from importlib.import_module(module).DESCRIPTOR.services_by_name.values()


def test_every_rpc_of_the_protos_is_called_here() -> None:
    declared = {f"{service.full_name}/{method.name}" for service in services_in_protos() for method in service.methods}

    assert len(declared) >= 8
    assert RPCS.keys() == declared


@pytest.mark.parametrize("method", [one for one in RPCS if "gateway" not in one and not one.endswith("/GetModel")])
async def test_answer_of_a_model_service_names_model_and_timings(
    method: str, platform: Platform, connect: Connect
) -> None:
    answer = await RPCS[method](platform, connect)

    check_model(answer.model, task=method.split(".")[1])
    check_timings(answer.timings)


@pytest.mark.parametrize("name", SERVICES)
async def test_get_model_names_the_model_and_what_it_can_do(name: str, platform: Platform, connect: Connect) -> None:
    capabilities = (await RPCS[f"{SERVICES[name]}/GetModel"](platform, connect)).capabilities

    check_model(capabilities.model, task=name)
    assert capabilities.max_items == (64 if name == "text" else 16)
    speaks = name in ("classification", "captioning")
    assert list(capabilities.languages) == (["en", "zh"] if speaks else [])
    side = 32 if name == "generation" else 0
    assert (capabilities.image_width, capabilities.image_height) == (side, side)
    words = {label.id: dict(label.texts) for label in capabilities.labels}
    assert words.get("cat") == ({"en": "cat", "zh": "猫"} if name == "classification" else None)


@pytest.mark.parametrize("name", SERVICES)
async def test_get_model_does_not_wait_for_the_model(name: str, platform: Platform, connect: Connect) -> None:
    with frozen_model(platform[name]):
        answer = await asyncio.wait_for(RPCS[f"{SERVICES[name]}/GetModel"](platform, connect), 5)

    check_model(answer.capabilities.model, task=name)


@pytest.mark.parametrize("method", [f"diptych.gateway.v1.GatewayService/{method}" for method in STAGES])
async def test_answer_of_the_gateway_names_every_stage(method: str, platform: Platform, connect: Connect) -> None:
    answer = await RPCS[method](platform, connect)

    assert [stage.method for stage in answer.stages] == [f"diptych.{one}" for one in STAGES[method.rpartition("/")[2]]]
    for stage in answer.stages:
        check_model(stage.model, task=stage.method.split(".")[1])
        check_timings(stage.timings)
        assert stage.elapsed_seconds >= stage.timings.queue_seconds + stage.timings.inference_seconds


async def test_own_labels_are_scored_by_place_whatever_else_is_in_the_batch(
    platform: Platform, connect: Connect
) -> None:
    texts = [f"label {number}" for number in range(64)]
    labels = list((await encode(connect(platform.text), *texts)).encodings) * 4
    stub = connect(platform.classification).classification
    request = classification_pb2.ClassifyImageRequest(images=[picture_file()] * 2, label_encodings=labels, top_k=1000)
    closed = classification_pb2.ClassifyImageRequest(images=[picture_file()])

    answer, own = await asyncio.gather(
        stub.ClassifyImage(request, timeout=CALL_SECONDS), stub.ClassifyImage(closed, timeout=CALL_SECONDS)
    )

    for one in answer.classifications:
        assert {label.id for label in one.labels} == {str(place) for place in range(256)}
        assert sum(label.probability for label in one.labels) == pytest.approx(1.0, abs=1e-3)
    assert {label.id for label in own.classifications[0].labels} == {"cat", "dog", "house", "apple"}


async def test_all_64_bits_of_a_seed_count(platform: Platform, connect: Connect) -> None:
    encoding = await text_encoding(connect(platform.text))

    answer = await generate(connect(platform.generation), encoding, 1, 1 + 2**32, 1 + 2**63)

    assert len({pixels_of(one.image.data) for one in answer.images}) == 3


async def test_request_id_of_the_caller_comes_back_with_the_answer(platform: Platform, connect: Connect) -> None:
    request = gateway_pb2.EncodeTextRequest(texts=["a cat"])

    call = connect(platform.gateway).gateway.EncodeText(
        request, timeout=CALL_SECONDS, metadata=(("x-request-id", "my-id-7"),)
    )
    await call

    assert dict(await call.trailing_metadata() or ())["x-request-id"] == "my-id-7"


def check_model(model: model_pb2.Model, *, task: str) -> None:
    """The model is the tiny one of the task."""
    assert (model.name, model.version, model.space) == (f"tiny-{task}", "0.0.0", "tiny")
    assert len(model.digest) == 64


def check_timings(timings: model_pb2.Timings) -> None:
    """The times are plausible."""
    assert timings.batch_size >= 1
    assert 0 <= timings.queue_seconds < CALL_SECONDS
    assert 0 < timings.inference_seconds < CALL_SECONDS
