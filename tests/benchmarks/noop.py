"""`python -m tests.benchmarks.noop`: a text service whose answer is ready before the question comes.

Diptych's own server without queue and model: health, metadata and errors as a gateway expects of a replica.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import encoding_pb2, model_pb2
from shared.entrypoint import run_server
from shared.rpc import metadata
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.benchmarks.reference.inputs import SPACE

ANSWER = text_encoding_pb2.EncodeTextResponse(
    encodings=[encoding_pb2.Encoding(space=SPACE, vector=[1.0] + [0.0] * 255)],
    model=model_pb2.Model(name="noop", version="1", digest="0" * 64, space=SPACE),
    timings=model_pb2.Timings(batch_size=1),
)
IDENTITY = (
    (metadata.MODEL_NAME, "noop"),
    (metadata.MODEL_VERSION, "1"),
    (metadata.MODEL_DIGEST, "0" * 64),
    (metadata.MODEL_SPACE, SPACE),
)


class NoopServicer(text_encoding_pb2_grpc.TextEncodingServiceServicer):
    """Answers `diptych.text.v1.TextEncodingService` with one vector."""

    async def EncodeText(
        self, request: text_encoding_pb2.EncodeTextRequest, context: Any
    ) -> text_encoding_pb2.EncodeTextResponse:
        """Whatever was asked."""
        return ANSWER

    async def GetModel(
        self, request: text_encoding_pb2.GetModelRequest, context: Any
    ) -> text_encoding_pb2.GetModelResponse:
        """Nothing worth knowing."""
        return text_encoding_pb2.GetModelResponse()


async def serve(settings: ServerSettings) -> str | None:
    """Until SIGTERM."""
    service = "diptych.text.v1.TextEncodingService"
    server = Server(settings, CollectorRegistry(), services=[service], watch_metadata=IDENTITY)
    text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(NoopServicer(), server.grpc)
    async with server:
        await server.set_serving(True)
        return await server.run()


if __name__ == "__main__":
    run_server("python -m tests.benchmarks.noop", ServerSettings, serve)
