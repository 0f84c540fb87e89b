"""Starts the classification service: `python -m services.classification`, set up by the environment (see `--help`)."""

from __future__ import annotations

import grpc

from diptych.classification.v1 import classification_pb2_grpc
from services.classification.items import ClassifiedImage, ImageItem
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import serve_model


async def serve(settings: ClassificationSettings, load: str = "services.classification.predictor:load") -> str | None:
    """Serves the model of `settings`, read by `load`; see `serve_model`."""

    def add_servicer(
        server: grpc.aio.Server, batcher: DynamicBatcher[ImageItem, ClassifiedImage], info: ModelInfo
    ) -> None:
        servicer = ClassificationServicer(batcher, info, settings)
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)

    return await serve_model(
        settings,
        load=load,
        service="diptych.classification.v1.ClassificationService",
        add_servicer=add_servicer,
    )


if __name__ == "__main__":
    run_server("python -m services.classification", ClassificationSettings, serve)
