"""Diptych's own stack around a reference module: `python -m tests.benchmarks.reference.serve text`.

The services' own servicers, protos and settings, the batcher and the model process as they ship; only the predictor
is another. `simulated` is the text service over a model that sleeps instead of computing.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc

from diptych.classification.v1 import classification_pb2_grpc
from diptych.generation.v1 import generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2_grpc
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

SERVED: dict[str, tuple[type[ModelServiceSettings], type[Any], Any, str, str]] = {
    "text": (
        TextSettings,
        TextEncodingServicer,
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server,
        "diptych.text.v1.TextEncodingService",
        "tests.benchmarks.reference.predictors:load_text",
    ),
    "simulated": (
        TextSettings,
        TextEncodingServicer,
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server,
        "diptych.text.v1.TextEncodingService",
        "tests.benchmarks.reference.simulated:load",
    ),
    "classification": (
        ClassificationSettings,
        ClassificationServicer,
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server,
        "diptych.classification.v1.ClassificationService",
        "tests.benchmarks.reference.predictors:load_classification",
    ),
    "generation": (
        GenerationSettings,
        GenerationServicer,
        generation_pb2_grpc.add_GenerationServiceServicer_to_server,
        "diptych.generation.v1.GenerationService",
        "tests.benchmarks.reference.predictors:load_generation",
    ),
}
"""By name: settings, servicer, how it is added to a server, the gRPC service's name, the predictor's `load`."""


def main() -> None:
    """Serves what the first argument names, set up by the environment as every service."""
    if len(sys.argv) < 2 or sys.argv[1] not in SERVED:
        raise SystemExit(f"usage: python -m tests.benchmarks.reference.serve {'|'.join(SERVED)}")
    name = sys.argv.pop(1)
    settings_type, servicer, add_to_server, service, load = SERVED[name]

    async def serve(settings: ModelServiceSettings) -> str | None:
        def add_servicer(server: grpc.aio.Server, batcher: DynamicBatcher[Any, Any], info: ModelInfo) -> None:
            add_to_server(servicer(batcher, info, settings), server)

        return await serve_model(settings, load=load, service=service, add_servicer=add_servicer)

    run_server(f"python -m tests.benchmarks.reference.serve {name}", settings_type, serve)


if __name__ == "__main__":
    main()
