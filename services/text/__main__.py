"""Starts the text service: `python -m services.text`, configured by the environment (`--help` lists it)."""

from __future__ import annotations

import grpc

from diptych.text.v1 import text_encoding_pb2_grpc
from services.text.servicer import TextEncodingServicer
from services.text.settings import TextSettings
from shared.encodings import Encoding
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.service import serve_model


async def serve(settings: TextSettings, load: str = "services.text.predictor:load") -> str | None:
    """Serves the model of `settings`, read by `load`; see `serve_model`."""

    def add_servicer(server: grpc.aio.Server, batcher: DynamicBatcher[str, Encoding], info: ModelInfo) -> None:
        servicer = TextEncodingServicer(batcher, info, settings)
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(servicer, server)

    return await serve_model(
        settings,
        load=load,
        service="diptych.text.v1.TextEncodingService",
        add_servicer=add_servicer,
    )


if __name__ == "__main__":
    run_server("python -m services.text", TextSettings, serve)
