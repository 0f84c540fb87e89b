"""Starts the generation service: `python -m services.generation`, configured by the environment (`--help` lists it)."""

from __future__ import annotations

import grpc

from diptych.generation.v1 import generation_pb2_grpc
from services.generation.items import PaintedImage, PaintItem
from services.generation.servicer import GenerationServicer
from services.generation.settings import GenerationSettings
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import serve_model


async def serve(settings: GenerationSettings, load: str = "services.generation.predictor:load") -> str | None:
    """Serves the model of `settings`, read by `load`; see `serve_model`."""

    def add_servicer(
        server: grpc.aio.Server, batcher: DynamicBatcher[PaintItem, PaintedImage], info: ModelInfo
    ) -> None:
        servicer = GenerationServicer(batcher, info, settings)
        generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)

    return await serve_model(
        settings,
        load=load,
        service="diptych.generation.v1.GenerationService",
        add_servicer=add_servicer,
    )


if __name__ == "__main__":
    run_server("python -m services.generation", GenerationSettings, serve)
