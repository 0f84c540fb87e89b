"""The services' own stack around the models of `echo`: `python -m tests.benchmarks.robustness.echo_service text`."""

from __future__ import annotations

import sys
from typing import Any

import grpc

from diptych.captioning.v1 import captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2_grpc
from diptych.generation.v1 import generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2_grpc
from services.captioning.servicer import CaptioningServicer
from services.captioning.settings import CaptioningSettings
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from services.generation.servicer import GenerationServicer
from services.generation.settings import GenerationSettings
from services.text.servicer import TextEncodingServicer
from services.text.settings import TextSettings
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import serve_model
from shared.settings import ModelServiceSettings
from tests.end_to_end.servers import SERVICES

SERVED: dict[str, tuple[type[ModelServiceSettings], type[Any], Any]] = {
    "text": (
        TextSettings,
        TextEncodingServicer,
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server,
    ),
    "classification": (
        ClassificationSettings,
        ClassificationServicer,
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server,
    ),
    "generation": (
        GenerationSettings,
        GenerationServicer,
        generation_pb2_grpc.add_GenerationServiceServicer_to_server,
    ),
    "captioning": (
        CaptioningSettings,
        CaptioningServicer,
        captioning_pb2_grpc.add_CaptioningServiceServicer_to_server,
    ),
}
"""By name: settings, servicer, and how it is added to a server."""


def main() -> None:
    """Serves what the argument names, set up by the environment as every service."""
    if len(sys.argv) != 2 or sys.argv[1] not in SERVED:
        raise SystemExit(f"usage: python -m tests.benchmarks.robustness.echo_service {'|'.join(SERVED)}")
    name = sys.argv.pop(1)
    settings_type, servicer, add_to_server = SERVED[name]

    async def serve(settings: ModelServiceSettings) -> str | None:
        def add_servicer(server: grpc.aio.Server, batcher: DynamicBatcher[Any, Any], info: ModelInfo) -> None:
            add_to_server(servicer(batcher, info, settings), server)

        load = f"tests.benchmarks.robustness.echo:load_{name}"
        return await serve_model(settings, load=load, service=SERVICES[name], add_servicer=add_servicer)

    run_server(f"python -m tests.benchmarks.robustness.echo_service {name}", settings_type, serve)


if __name__ == "__main__":
    main()
