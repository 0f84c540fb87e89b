"""Encodings as large as those of scenes, 64 tokens of 256 numbers, from classifier to captioner over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from services.captioning import predictor as captioning
from services.captioning.servicer import CaptioningServicer
from services.captioning.settings import CaptioningSettings
from services.classification import predictor as classification
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from services.training.tiny import write_tiny_captioner, write_tiny_classifier
from shared.inference.predictor import RuntimeOptions
from tests.end_to_end.pictures import picture_file
from tests.services.serving import INFO, serving

CPU = RuntimeOptions(device="cpu", precision="fp32")


async def test_sixteen_encodings_of_32_kib_of_tokens_reach_the_captioner_in_one_call(tmp_path: Path) -> None:
    shape: dict[str, Any] = {"pixels": 128, "token_width": 256, "space_width": 256, "pooling": "attention"}
    seer = classification.load(write_tiny_classifier(tmp_path / "seer", space=INFO.space, **shape), CPU)
    folder = write_tiny_captioner(
        tmp_path / "writer", space=INFO.space, memory_tokens=64, token_width=256, space_width=256
    )
    writer = captioning.load(folder, CPU)

    def add_seer(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
        servicer = ClassificationServicer(batcher, seer.info, ClassificationSettings())
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)

    def add_writer(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
        servicer = CaptioningServicer(batcher, writer.info, CaptioningSettings())
        captioning_pb2_grpc.add_CaptioningServiceServicer_to_server(servicer, server)

    request = classification_pb2.ClassifyImageRequest(images=[picture_file()] * 16, include_encodings=True)
    async with serving(add_seer, lambda item: seer.predict([item])[0]) as channel:
        stub: Any = classification_pb2_grpc.ClassificationServiceStub(channel)
        seen = (await stub.ClassifyImage(request, timeout=30)).classifications
    assert [len(each.encoding.tokens) for each in seen] == [64 * 256 * 2] * 16
    assert len(seen[0].encoding.vector) == 256

    encodings = [each.encoding for each in seen]
    async with serving(add_writer, lambda item: writer.predict([item])[0]) as channel:
        stub = captioning_pb2_grpc.CaptioningServiceStub(channel)
        said = await stub.GenerateCaption(captioning_pb2.GenerateCaptionRequest(encodings=encodings), timeout=30)
    assert len(said.results) == 16
    assert all(each.captions for each in said.results)
