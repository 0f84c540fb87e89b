"""Starts the captioning service: `python -m services.captioning`, configured by the environment (`--help` lists it)."""

from __future__ import annotations

import grpc

from diptych.captioning.v1 import captioning_pb2_grpc
from services.captioning.items import CaptionItem, ScoredCaption
from services.captioning.servicer import CaptioningServicer
from services.captioning.settings import CaptioningSettings
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import serve_model


async def serve(settings: CaptioningSettings, load: str = "services.captioning.predictor:load") -> str | None:
    """Serves the model of `settings`, read by `load`; see `serve_model`."""

    def add_servicer(
        server: grpc.aio.Server, batcher: DynamicBatcher[CaptionItem, tuple[ScoredCaption, ...]], info: ModelInfo
    ) -> None:
        servicer = CaptioningServicer(batcher, info, settings)
        captioning_pb2_grpc.add_CaptioningServiceServicer_to_server(servicer, server)

    return await serve_model(
        settings,
        load=load,
        service="diptych.captioning.v1.CaptioningService",
        add_servicer=add_servicer,
    )


if __name__ == "__main__":
    run_server("python -m services.captioning", CaptioningSettings, serve)
