"""Model services without models, behind the server that the real ones use; their answers can be checked by eye.

A text's point is its length; an image's point is its number of bytes, of a painted one its seed; a painted picture is
one colour made of point and seed; a caption says language and point.
Run as a process: `python -m tests.gateway.fake_services text`.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, Self

import grpc
from prometheus_client import CollectorRegistry

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import label_pb2, model_pb2
from shared.codes import Reason
from shared.entrypoint import run_server
from shared.errors import InvalidArgumentError
from shared.rpc import metadata
from shared.rpc.server import Server
from shared.settings import ServerSettings
from tests.gateway.behaviour import Behaviour, Seen
from tests.gateway.fake_pictures import SIDE, painted, point_of

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

    async def GetModel(
        self, request: text_encoding_pb2.GetModelRequest, context: object
    ) -> text_encoding_pb2.GetModelResponse:
        return text_encoding_pb2.GetModelResponse(capabilities=await self.behaviour.capabilities())


class FakeClassification(classification_pb2_grpc.ClassificationServiceServicer):
    """An image's point is its number of bytes, or the seed of a painted one; its labels are `label-0`, `label-1`, ...

    Of labels in the request the last is the likeliest; a head's labels are `label-0` and so on of that head. Where the
    fake has heads, "content" stands for "objects".
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def ClassifyImage(
        self, request: classification_pb2.ClassifyImageRequest, context: object
    ) -> classification_pb2.ClassifyImageResponse:
        await self.behaviour.meet(request, *{each.space for each in request.label_encodings})
        heads = [self._head(index, request) for index in range(len(request.heads))]
        places = reversed(range(len(request.label_encodings)))
        labels = [label_pb2.Label(id=str(place), probability=0.5) for place in places][: request.top_k] or [
            label_pb2.Label(id=f"label-{rank}", text=f"{request.language} label {rank}", probability=0.5 / (rank + 1))
            for rank in range(request.top_k or 5)
        ]
        return classification_pb2.ClassifyImageResponse(
            classifications=[
                classification_pb2.Classification(
                    labels=labels,
                    encoding=self.behaviour.encoding(point_of(image), b"tt") if request.include_encodings else None,
                    heads=heads,
                )
                for image in request.images
            ],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )

    def _head(self, index: int, request: classification_pb2.ClassifyImageRequest) -> label_pb2.HeadLabels:
        """One label of a head that nothing is known of; else halves, or of a multi-label head 0.9, 0.7, 0.5, ..."""
        name, known = request.heads[index], {head.name: head for head in self.behaviour.heads}
        head = known.get("objects" if name == "content" else name, model_pb2.Head(name=name, label_count=1))
        if known and head.name not in known:
            field = f"heads[{index}]"
            message = f"{field} is {name!r}, which is not of this model"
            raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field=field)
        labels = [
            label_pb2.Label(
                id=f"{head.name}-label-{rank}",
                text=f"{request.language} {head.name} {rank}",
                probability=max(0, 0.9 - 0.2 * rank) if head.multi_label else 0.5 ** (rank + 1),
            )
            for rank in range(min(request.top_k or 5, head.label_count))
        ]
        return label_pb2.HeadLabels(head=head.name, labels=labels)

    async def GetModel(
        self, request: classification_pb2.GetModelRequest, context: object
    ) -> classification_pb2.GetModelResponse:
        capabilities = await self.behaviour.capabilities(languages=self.behaviour.languages, heads=self.behaviour.heads)
        return classification_pb2.GetModelResponse(capabilities=capabilities)


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
            images=[
                generation_pb2.GeneratedImage(image=painted(seed, point, request.format), seed=seed)
                for seed in request.seeds
            ],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )

    async def GetModel(
        self, request: generation_pb2.GetModelRequest, context: object
    ) -> generation_pb2.GetModelResponse:
        return generation_pb2.GetModelResponse(
            capabilities=await self.behaviour.capabilities(image_width=SIDE, image_height=SIDE)
        )


class FakeCaptioning(captioning_pb2_grpc.CaptioningServiceServicer):
    """A caption says its language and the encoding's point, and of drawn ones the seed and the temperature."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def GenerateCaption(
        self, request: captioning_pb2.GenerateCaptionRequest, context: object
    ) -> captioning_pb2.GenerateCaptionResponse:
        await self.behaviour.meet(request, request.encodings[0].space)
        drawn = request.sampling
        how = f", seed {drawn.seed} at {drawn.temperature:g}" if request.HasField("sampling") else ""
        return captioning_pb2.GenerateCaptionResponse(
            results=[
                captioning_pb2.Captions(
                    captions=[
                        label_pb2.Caption(
                            text=f"{request.language}: {encoding.vector[0]:g} bytes{how}", score=-0.5 - rank
                        )
                        for rank in range(request.candidates or 1)
                    ]
                )
                for encoding in request.encodings
            ],
            model=self.behaviour.model(),
            timings=TIMINGS,
        )

    async def GetModel(
        self, request: captioning_pb2.GetModelRequest, context: object
    ) -> captioning_pb2.GetModelResponse:
        return captioning_pb2.GetModelResponse(
            capabilities=await self.behaviour.capabilities(languages=self.behaviour.languages)
        )


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
        trailing=behaviour.trailers,
        watch_metadata=(
            (metadata.MODEL_NAME, "fake"),
            (metadata.MODEL_VERSION, behaviour.version),
            (metadata.MODEL_DIGEST, behaviour.digest),
            (metadata.MODEL_SPACE, behaviour.space),
        ),
    )
    add(servicer(behaviour), server.grpc)
    return server


class FakeReplica:
    """One fake on one port that can stop, fall over and come back; inside `async with` it serves."""

    def __init__(
        self, service: str, behaviour: Behaviour | None = None, settings: ServerSettings | None = None
    ) -> None:
        self.service = service
        self.behaviour = behaviour or Behaviour()
        self._settings = settings or ServerSettings()
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
        settings = self._settings.model_copy(update={"port": self._port})
        self._server = fake_server(self.service, self.behaviour, settings)
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
