"""A first request for each model service, made from what its model.toml says, and the models that are measured."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from PIL import Image

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import encoding_pb2
from tests.end_to_end.servers import REPOSITORY, SERVICES

CALL_SECONDS = 60.0
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]


def model_directories(models: Path | None) -> dict[str, Path]:
    """By service: below `models`, else those that the services have embedded. Exits where there is none."""
    found = {name: models / name if models else REPOSITORY / "services" / name / "weights" for name in SERVICES}
    for folder in found.values():
        if not (folder / "model.toml").is_file():
            raise SystemExit(f"{folder}: no model.toml there; --models DIR names a folder with text/, generation/, ...")
    return found


def first_call(service: str, model: Path) -> Callable[[grpc.Channel], object]:
    """A call that the service can answer, to be made on a channel to it; it raises grpc.RpcError."""
    table = tomllib.loads((model / "model.toml").read_text("utf-8"))
    make = {"text": _encode, "classification": _classify, "generation": _generate, "captioning": _caption}[service]
    return make(table["space"], table["architecture"])


def _encode(space: str, sizes: dict[str, Any]) -> Callable[[grpc.Channel], object]:
    request = text_encoding_pb2.EncodeTextRequest(texts=["a black cat"])
    return lambda channel: text_encoding_pb2_grpc.TextEncodingServiceStub(channel).EncodeText(
        request, timeout=CALL_SECONDS
    )


def _classify(space: str, sizes: dict[str, Any]) -> Callable[[grpc.Channel], object]:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(file, "PNG")
    request = classification_pb2.ClassifyImageRequest(images=[file.getvalue()])
    return lambda channel: classification_pb2_grpc.ClassificationServiceStub(channel).ClassifyImage(
        request, timeout=CALL_SECONDS
    )


def _generate(space: str, sizes: dict[str, Any]) -> Callable[[grpc.Channel], object]:
    request = generation_pb2.GenerateImageRequest(encoding=_encoding(space, sizes), seeds=[1])
    return lambda channel: generation_pb2_grpc.GenerationServiceStub(channel).GenerateImage(
        request, timeout=CALL_SECONDS
    )


def _caption(space: str, sizes: dict[str, Any]) -> Callable[[grpc.Channel], object]:
    encoding = _encoding(space, sizes)
    encoding.token_width = sizes["token_width"]
    encoding.tokens = bytes(2 * sizes["memory_tokens"] * sizes["token_width"])
    request = captioning_pb2.GenerateCaptionRequest(encodings=[encoding])
    return lambda channel: captioning_pb2_grpc.CaptioningServiceStub(channel).GenerateCaption(
        request, timeout=CALL_SECONDS
    )


def _encoding(space: str, sizes: dict[str, Any]) -> encoding_pb2.Encoding:
    return encoding_pb2.Encoding(space=space, vector=[1.0] + [0.0] * (sizes["space_width"] - 1))
