"""A gateway without anything behind it: a real gRPC server whose answers can be checked by eye, for clients to call.

A picture's red is its seed, its green the length of its prompt. A caption says language and number of bytes. A
file that begins with `bad` is no picture; a prompt that begins with `bad` is refused. An encoding is (1, length).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from diptych.types.v1 import encoding_pb2, image_pb2, label_pb2, model_pb2
from gateway.png import Picture, encode_png, pixel_sha256
from gateway.provenance import embed
from shared.codes import Reason
from shared.errors import CallError, FailedPreconditionError, InvalidArgumentError
from shared.rpc.status import details_trailer, status_code

SIDE = 4
LIMIT = 16
TIMINGS = model_pb2.Timings(queue_seconds=0.25, inference_seconds=0.5, batch_size=3)


@dataclass
class Seen:
    """A call as it arrived."""

    request: Any
    metadata: dict[str, str]
    remaining_seconds: float


@dataclass
class Behaviour:
    """What the fake does besides answering, and what it saw."""

    space: str = "space-a"
    digests: dict[str, str] = field(default_factory=lambda: {"text": "a" * 64, "generation": "b" * 64})
    shade: int = 0
    """Blue of every picture: another hardware, so to speak."""
    delay_seconds: float = 0.0
    errors: list[CallError] = field(default_factory=list)
    """Of the next calls, one each."""
    break_after: int | None = None
    """Messages of a stream before it ends with UNAVAILABLE."""
    serving: bool = True
    calls: list[Seen] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def meet(self, request: Any, context: grpc.ServicerContext) -> Iterator[None]:
        """Notes a call, delays or fails it, and gives errors their codes."""
        told = {str(key): str(value) for key, value in context.invocation_metadata()}
        with self.lock:
            self.calls.append(Seen(request, told, context.time_remaining() or 0.0))
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            error = self.errors.pop(0) if self.errors else None
        try:
            time.sleep(self.delay_seconds)
            if error is not None:
                raise error
            yield
        except CallError as raised:
            context.set_trailing_metadata((*details_trailer(raised), ("x-request-id", "req-1")))
            context.abort(status_code(raised.code), str(raised))
        finally:
            with self.lock:
                self.under_way -= 1

    def model(self, service: str) -> model_pb2.Model:
        """A service's model."""
        digest = self.digests.get(service, "f" * 64)
        return model_pb2.Model(name=f"fake-{service}", version="1", digest=digest, space=self.space)

    def stages(self, *methods: str) -> list[model_pb2.Stage]:
        """The stages of an answer; methods are `text.EncodeText` and so on."""
        return [
            model_pb2.Stage(
                method=f"diptych.{method}", model=self.model(method.split(".")[0]), timings=TIMINGS, elapsed_seconds=1.0
            )
            for method in methods
        ]


class FakeGateway(gateway_pb2_grpc.GatewayServiceServicer):
    """See above."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def TextToImage(
        self, request: gateway_pb2.TextToImageRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.TextToImageResponse:
        with self.behaviour.meet(request, context):
            images = [self._painted(request, seed) for seed in self._seeds(request)]
            if request.candidates:
                for place, image in enumerate(images):
                    image.similarity = 0.5 - place / 100
            images = images[: request.image_count] if request.candidates else images
            stages = self.behaviour.stages("text.EncodeText", "generation.GenerateImage")
        return gateway_pb2.TextToImageResponse(images=images, stages=stages)

    def StreamTextToImage(
        self, request: gateway_pb2.StreamTextToImageRequest, context: grpc.ServicerContext
    ) -> Iterator[gateway_pb2.StreamTextToImageResponse]:
        with self.behaviour.meet(request, context):
            seeds = list(enumerate(self._seeds(request)))
            for sent, (index, seed) in enumerate(reversed(seeds)):  # any order is right
                if self.behaviour.break_after == sent:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "generation: lost")
                stages = self.behaviour.stages("generation.GenerateImage")
                image = self._painted(request, seed)
                yield gateway_pb2.StreamTextToImageResponse(index=index, image=image, stages=stages)

    def ImageToText(
        self, request: gateway_pb2.ImageToTextRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.ImageToTextResponse:
        with self.behaviour.meet(request, context):
            self._check_images(request.images, request.language)
            descriptions = [
                gateway_pb2.ImageDescription(
                    captions=[
                        label_pb2.Caption(text=f"{request.language}: {len(image)} bytes, {rank}", score=-0.5 * rank)
                        for rank in range(1, 1 + (request.candidates or 1))
                    ],
                    labels=_labels([f"{request.language} label {rank}" for rank in range(request.top_k or 5)]),
                    heads=_heads(request.heads),
                )
                for image in request.images
            ]
            stages = self.behaviour.stages("classification.ClassifyImage", "captioning.GenerateCaption")
        drawn = request.sampling
        seed = (drawn.seed if drawn.HasField("seed") else 99) if request.HasField("sampling") else None
        return gateway_pb2.ImageToTextResponse(descriptions=descriptions, stages=stages, seed=seed)

    def ClassifyImage(
        self, request: gateway_pb2.ClassifyImageRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.ClassifyImageResponse:
        with self.behaviour.meet(request, context):
            self._check_images(request.images, request.language)
            names = list(request.labels) or [f"{request.language} label {rank}" for rank in range(5)]
            told = _labels(names[: request.top_k or len(names)])
            labels = gateway_pb2.Labels(labels=told, heads=_heads(request.heads))
            stages = self.behaviour.stages("classification.ClassifyImage")
        return gateway_pb2.ClassifyImageResponse(results=[labels for _ in request.images], stages=stages)

    def EncodeText(
        self, request: gateway_pb2.EncodeTextRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.EncodeTextResponse:
        with self.behaviour.meet(request, context):
            encodings = [self._encoding(len(text)) for text in request.texts]
            stages = self.behaviour.stages("text.EncodeText")
        return gateway_pb2.EncodeTextResponse(encodings=encodings, stages=stages)

    def EncodeImage(
        self, request: gateway_pb2.EncodeImageRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.EncodeImageResponse:
        with self.behaviour.meet(request, context):
            self._check_images(request.images, "")
            encodings = [self._encoding(len(image)) for image in request.images]
            stages = self.behaviour.stages("classification.ClassifyImage")
        return gateway_pb2.EncodeImageResponse(encodings=encodings, stages=stages)

    def GetCapabilities(
        self, request: gateway_pb2.GetCapabilitiesRequest, context: grpc.ServicerContext
    ) -> gateway_pb2.GetCapabilitiesResponse:
        with self.behaviour.meet(request, context):
            return capabilities(self.behaviour)

    def _encoding(self, length: int) -> encoding_pb2.Encoding:
        return encoding_pb2.Encoding(space=self.behaviour.space, vector=[1.0, length])

    def _seeds(self, request: Any) -> list[int]:
        if request.prompt.startswith("bad") or not request.prompt:
            message = f"prompt is {request.prompt!r}; this gateway does not like it"
            raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="prompt")
        if request.space not in ("", self.behaviour.space):
            raise FailedPreconditionError(f"space {request.space!r} is not served", reason=Reason.SPACE_NOT_SERVED)
        if request.image_count > LIMIT:
            message = f"image_count is {request.image_count}; the limit is {LIMIT}"
            raise InvalidArgumentError(message, reason=Reason.TOO_MANY_ITEMS, field="image_count")
        return list(request.seeds) or list(range(request.candidates or request.image_count or 1))

    def _painted(self, request: Any, seed: int) -> gateway_pb2.PaintedImage:
        row = bytes((seed % 256, len(request.prompt) % 256, self.behaviour.shade)) * SIDE
        data = encode_png(Picture(width=SIDE, height=SIDE, rows=[row] * SIDE))
        provenance = gateway_pb2.Provenance(
            prompt=request.prompt if request.embed_prompt else "",
            seed=seed,
            text_model=self.behaviour.model("text"),
            generation_model=self.behaviour.model("generation"),
            pixel_sha256=pixel_sha256(data),
            diptych_version="0.2.0",
        )
        if request.format in (image_pb2.IMAGE_FORMAT_UNSPECIFIED, image_pb2.IMAGE_FORMAT_PNG):
            data = embed(data, provenance)
        else:
            data = f"{image_pb2.ImageFormat.Name(request.format)} {request.quality}".encode()
        image = image_pb2.Image(
            data=data, format=request.format, width=SIDE, height=SIDE, pixel_sha256=provenance.pixel_sha256
        )
        return gateway_pb2.PaintedImage(image=image, seed=seed, provenance=provenance)

    def _check_images(self, images: Any, language: str) -> None:
        if language not in ("", "en", "zh"):
            message = f"language is {language!r}; known are en, zh"
            raise InvalidArgumentError(message, reason=Reason.LANGUAGE_UNKNOWN, field="language")
        for place, image in enumerate(images):
            if image.startswith(b"bad") or not image:
                message = f"images[{place}] is no picture"
                raise InvalidArgumentError(message, reason=Reason.IMAGE_UNREADABLE, field=f"images[{place}]")


def _heads(names: Iterable[str]) -> list[label_pb2.HeadLabels]:
    return [label_pb2.HeadLabels(head=name, labels=_labels([f"{name} label"])) for name in names]


def _labels(names: list[str]) -> list[label_pb2.Label]:
    return [label_pb2.Label(id=str(rank), text=name, probability=0.5 ** (rank + 1)) for rank, name in enumerate(names)]


def capabilities(behaviour: Behaviour) -> gateway_pb2.GetCapabilitiesResponse:
    """Two replicas of each service, of which the second is down."""
    return gateway_pb2.GetCapabilitiesResponse(
        diptych_version="0.2.0",
        limits=gateway_pb2.Limits(prompt_characters=500, texts=64, images=LIMIT, image_pixels=16_000_000),
        spaces=[behaviour.space] if behaviour.serving else [],
        languages=["en", "zh"],
        input_formats=["PNG", "JPEG"],
        output_formats=[image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_WEBP],
        services=[
            gateway_pb2.ServiceCapabilities(
                name=name,
                models=[model_pb2.ModelCapabilities(model=behaviour.model(name), image_width=SIDE, max_items=LIMIT)],
                replicas=[
                    gateway_pb2.Replica(
                        address=f"10.0.0.{place}:9000",
                        serving=behaviour.serving,
                        reason="" if behaviour.serving else "draining",
                        model=behaviour.model(name),
                        queue_seconds=0.25,
                    ),
                    gateway_pb2.Replica(address=f"10.0.1.{place}:9000", reason="connection refused"),
                ],
            )
            for place, name in enumerate(("text", "classification", "generation", "captioning"))
        ],
    )


@dataclass
class Running:
    """A fake gateway that serves."""

    address: str
    behaviour: Behaviour
    stop: Callable[[], object]


@contextmanager
def running_gateway(
    behaviour: Behaviour | None = None, *, port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> Iterator[Running]:
    """Serves in threads of this process, over TLS with credentials."""
    behaviour = behaviour or Behaviour()
    server = grpc.server(futures.ThreadPoolExecutor(32))
    gateway_pb2_grpc.add_GatewayServiceServicer_to_server(FakeGateway(behaviour), server)
    where = f"127.0.0.1:{port}"
    port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield Running(address=address, behaviour=behaviour, stop=lambda: server.stop(grace=None).wait())
    finally:
        server.stop(grace=None).wait()
