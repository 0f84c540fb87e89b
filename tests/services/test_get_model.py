"""GetModel: what a service says of its model, from what the model process told it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc

from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from services.generation.servicer import GenerationServicer
from services.generation.settings import GenerationSettings
from shared.inference.predictor import HeadInfo, LabelName
from tests.services.serving import INFO, serving


def unasked(item: Any) -> Any:
    """The model, which GetModel must not ask."""
    raise AssertionError(item)


async def test_heads_and_classes_come_with_their_names_in_every_language() -> None:
    labels = (
        LabelName(id="cat", texts={"en": "cat", "zh": "猫"}),
        LabelName(id="dog", texts={"en": "dog", "zh": "狗"}),
    )

    heads = (
        HeadInfo(name="concept", multi_label=False, labels=labels),
        HeadInfo(name="objects", multi_label=True, labels=labels[:1]),
    )

    def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
        servicer = ClassificationServicer(batcher, replace(info, heads=heads), ClassificationSettings(max_images=3))
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)

    async with serving(add, unasked) as channel:
        stub: Any = classification_pb2_grpc.ClassificationServiceStub(channel)
        told = (await stub.GetModel(classification_pb2.GetModelRequest(), timeout=5)).capabilities
    assert (told.model.name, told.model.digest, told.model.space) == (INFO.name, INFO.digest, INFO.space)
    assert list(told.languages) == ["en", "zh"]
    assert [(label.id, dict(label.texts)) for label in told.labels] == [(one.id, one.texts) for one in labels]
    concept, objects = told.heads
    assert (concept.name, concept.label_count, concept.multi_label, list(concept.labels)) == ("concept", 2, False, [])
    assert (objects.name, objects.label_count, objects.multi_label) == ("objects", 1, True)
    assert [label.id for label in objects.labels] == ["cat"]
    assert (told.max_items, told.image_width, told.image_height) == (3, 0, 0)


async def test_painter_tells_the_size_of_its_pictures() -> None:
    def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
        servicer = GenerationServicer(batcher, replace(info, image_side=64), GenerationSettings(max_seeds=5))
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)

    async with serving(add, unasked) as channel:
        stub: Any = generation_pb2_grpc.GenerationServiceStub(channel)
        told = (await stub.GetModel(generation_pb2.GetModelRequest(), timeout=5)).capabilities
    assert (told.image_width, told.image_height, told.max_items) == (64, 64, 5)
