"""Model services without models, behind the server that the real ones use; their answers can be checked by eye.

A text's point is its length, an image's point is its number of bytes; a painted picture is one colour made of point
and seed; a caption says language and point. Run as a process: `python -m tests.gateway.fake_services text`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import grpc
from prometheus_client import CollectorRegistry

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import encoding_pb2, image_pb2, label_pb2, model_pb2
from gateway.contact_sheet import Picture, encode_png
from shared.entrypoint import run_server
from shared.errors import CallError, SpaceMismatchError
from shared.rpc import metadata
from shared.rpc.context import CallContext, current_call, remaining_seconds
from shared.rpc.server import Server
from shared.settings import ServerSettings

SIDE = 4
"""Width and height of a painted picture."""


@dataclass(frozen=True)
class Seen:
    """A call as it arrived."""

    request: Any
    context: CallContext
    remaining_seconds: float | None


@dataclass
class Behaviour:
    """What a fake does besides answering, and what it saw."""

    space: str = "space-a"
    version: str = "1"
    queue_seconds: float = 0.0
    delay_seconds: float = 0.0
    error: Callable[[], CallError | None] = lambda: None
    """Makes the error of the next call, or None to answer it."""
    calls: list[Seen] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, request: Any, space: str | None = None) -> None:
        """Notes a call, and delays or fails it."""
        self.calls.append(Seen(request, current_call(), remaining_seconds()))
        self.called.set()
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if (error := self.error()) is not None:
            raise error
        if space is not None and space != self.space:
            raise SpaceMismatchError(got=space, served=self.space)

    def reset(self) -> None:
        """Back to the defaults, with nothing seen."""
        self.__dict__.update(Behaviour().__dict__)

    def model(self) -> model_pb2.Model:
        """The model that answers."""
        return model_pb2.Model(name="fake", version=self.version, digest="f" * 64, space=self.space)

    def encoding(self, value: float, tokens: bytes = b"") -> encoding_pb2.Encoding:
        """A point with one coordinate."""
        return encoding_pb2.Encoding(space=self.space, vector=[value], tokens=tokens, token_width=len(tokens))


TIMINGS = model_pb2.Timings(queue_seconds=0.25, inference_seconds=0.5, batch_size=3)


class FakeTextEncoding(text_encoding_pb2_grpc.TextEncodingServiceServicer):
    """A text's point is its length."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def EncodeText(
        self, request: text_encoding_pb2.EncodeTextRequest, context: object
    ) -> text_encoding_pb2.EncodeTextResponse:
        await self.behaviour.meet(request)
        encodings = [self.behaviour.encoding(len(text)) for text in request.texts]
        return text_encoding_pb2.EncodeTextResponse(encodings=encodings, model=self.behaviour.model(), timings=TIMINGS)


class FakeClassification(classification_pb2_grpc.ClassificationServiceServicer):
    """An image's point is its number of bytes; its labels are `label-0`, `label-1`, ..."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def ClassifyImage(
        self, request: classification_pb2.ClassifyImageRequest, context: object
    ) -> classification_pb2.ClassifyImageResponse:
        await self.behaviour.meet(request)
        labels = [
            label_pb2.Label(id=f"label-{rank}", text=f"{request.language} label {rank}", probability=0.5 / (rank + 1))
            for rank in range(request.top_k or 5)
        ]
        return classification_pb2.ClassifyImageResponse(
            classifications=[
                classification_pb2.Classification(
                    labels=labels,
                    encoding=self.behaviour.encoding(len(image), b"tt") if request.include_encodings else None,
                )
                for image in request.images
            ],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )


class FakeGeneration(generation_pb2_grpc.GenerationServiceServicer):
    """A picture's red is its seed, its green is the encoding's point."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def GenerateImage(
        self, request: generation_pb2.GenerateImageRequest, context: object
    ) -> generation_pb2.GenerateImageResponse:
        await self.behaviour.meet(request, request.encoding.space)
        point = request.encoding.vector[0]
        return generation_pb2.GenerateImageResponse(
            images=[generation_pb2.GeneratedImage(image=painted(seed, point), seed=seed) for seed in request.seeds],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )


class FakeCaptioning(captioning_pb2_grpc.CaptioningServiceServicer):
    """A caption says its language and the encoding's point."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def GenerateCaption(
        self, request: captioning_pb2.GenerateCaptionRequest, context: object
    ) -> captioning_pb2.GenerateCaptionResponse:
        await self.behaviour.meet(request, request.encodings[0].space)
        return captioning_pb2.GenerateCaptionResponse(
            results=[
                captioning_pb2.Captions(
                    captions=[label_pb2.Caption(text=f"{request.language}: {encoding.vector[0]:g} bytes", score=-0.5)]
                )
                for encoding in request.encodings
            ],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )


def painted(seed: int, point: float) -> image_pb2.Image:
    """The picture of a seed and a point."""
    row = bytes((seed % 256, int(point) % 256, 0)) * SIDE
    data = encode_png(Picture(width=SIDE, height=SIDE, rows=[row] * SIDE))
    return image_pb2.Image(data=data, format=image_pb2.IMAGE_FORMAT_PNG, width=SIDE, height=SIDE)


class AddServicer(Protocol):
    """What the generated `add_..._to_server` functions are."""

    def __call__(self, servicer: Any, server: grpc.aio.Server) -> None: ...


FAKES: dict[str, tuple[str, type[Any], AddServicer]] = {
    "text": (
        "diptych.text.v1.TextEncodingService",
        FakeTextEncoding,
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server,
    ),
    "classification": (
        "diptych.classification.v1.ClassificationService",
        FakeClassification,
        classification_pb2_grpc.add_ClassificationServiceServicer_to_server,
    ),
    "generation": (
        "diptych.generation.v1.GenerationService",
        FakeGeneration,
        generation_pb2_grpc.add_GenerationServiceServicer_to_server,
    ),
    "captioning": (
        "diptych.captioning.v1.CaptioningService",
        FakeCaptioning,
        captioning_pb2_grpc.add_CaptioningServiceServicer_to_server,
    ),
}


def fake_server(service: str, behaviour: Behaviour, settings: ServerSettings) -> Server:
    """A server of one fake, to be entered."""
    name, servicer, add = FAKES[service]
    server = Server(
        settings,
        CollectorRegistry(),
        services=[name],
        trailing=lambda: ((metadata.QUEUE_SECONDS, str(behaviour.queue_seconds)),),
        watch_metadata=(
            (metadata.MODEL_NAME, "fake"),
            (metadata.MODEL_VERSION, behaviour.version),
            (metadata.MODEL_DIGEST, "f" * 64),
            (metadata.MODEL_SPACE, behaviour.space),
        ),
    )
    add(servicer(behaviour), server.grpc)
    return server


class FakeReplica:
    """One fake on one port that can stop, fall over and come back; inside `async with` it serves."""

    def __init__(self, service: str, behaviour: Behaviour | None = None) -> None:
        self.service = service
        self.behaviour = behaviour or Behaviour()
        self._port = 0
        self._server: Server | None = None

    @property
    def address(self) -> str:
        """Where it listens, also while it is down."""
        return f"127.0.0.1:{self._port}"

    @property
    def calls(self) -> list[Seen]:
        """The calls that arrived."""
        return self.behaviour.calls

    async def start(self) -> None:
        """Listens, on the port it had before, and is SERVING."""
        self._server = fake_server(self.service, self.behaviour, ServerSettings(port=self._port))
        await self._server.__aenter__()
        self._port = self._server.port
        await self._server.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        """What its health says."""
        assert self._server is not None
        await self._server.set_serving(serving)

    async def stop(self) -> None:
        """Drains and stops, as on SIGTERM."""
        if self._server is not None:
            await self._server.__aexit__(None, None, None)
            self._server = None

    async def kill(self) -> None:
        """Falls over: calls under way are cut off."""
        if self._server is not None:
            await self._server.grpc.stop(grace=None)
            await self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


if __name__ == "__main__":
    service = sys.argv.pop()  # the one argument; run_server takes none
    behaviour = Behaviour()

    async def serve(settings: ServerSettings) -> str | None:
        """Serves the fake until SIGTERM."""
        async with fake_server(service, behaviour, settings) as server:
            await server.set_serving(True)
            return await server.run()

    run_server(f"python -m tests.gateway.fake_services {service}", ServerSettings, serve)
