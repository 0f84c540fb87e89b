"""The model services behind their ports: messages out, answers in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import grpc
from google.protobuf.message import Message

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from diptych.types.v1 import encoding_pb2, image_pb2, model_pb2, sampling_pb2
from gateway.ports import ENCODE_TEXT, Answer
from gateway.room import require_room_after
from gateway.service_errors import translated_errors
from gateway.shared_calls import EqualRequest, SharedCalls
from shared.codes import Reason
from shared.errors import FailedPreconditionError
from shared.metrics import DownstreamMetrics
from shared.rpc.replica_pool import ReplicaPool

Request = TypeVar("Request", bound=Message)
StubT = TypeVar("StubT")


class ModelResponse(Protocol):
    """What the responses of all model services have in common."""

    @property
    def model(self) -> model_pb2.Model:
        """Who answered."""

    @property
    def timings(self) -> model_pb2.Timings:
        """Where its time went."""


class ModelReply(Protocol):
    """What the GetModelResponses have in common."""

    @property
    def capabilities(self) -> model_pb2.ModelCapabilities:
        """What is served."""


Response = TypeVar("Response", bound=ModelResponse)
Reply = TypeVar("Reply", bound=ModelReply)
if TYPE_CHECKING:  # generic, or present, in the stubs only
    Method = grpc.aio.UnaryUnaryMultiCallable[Request, Response]
    TextStub = text_encoding_pb2_grpc.TextEncodingServiceAsyncStub
    ClassificationStub = classification_pb2_grpc.ClassificationServiceAsyncStub
    GenerationStub = generation_pb2_grpc.GenerationServiceAsyncStub
    CaptioningStub = captioning_pb2_grpc.CaptioningServiceAsyncStub


class ServiceClient(Generic[StubT]):
    """A model service, as `gateway.ports.ServiceDirectory` wants it; equal calls at one time are made once."""

    def __init__(self, pool: ReplicaPool[StubT], metrics: DownstreamMetrics) -> None:
        self._pool = pool
        self._calls = SharedCalls(pool.name, metrics)

    @property
    def name(self) -> str:
        """The service's name in errors and metrics."""
        return self._pool.name

    def spaces(self) -> Mapping[str, int]:
        """Number of serving replicas by joint space."""
        return self._pool.spaces()

    def may_serve(self, space: str) -> bool:
        """Whether a known replica is, or may be, of that joint space, serving or not."""
        return self._pool.may_serve(space)

    async def wait_for_change(self, since: float) -> None:
        """Returns when a replica has begun or ceased to serve; TimeoutError when that took too long."""
        await self._pool.wait_for_change(since)

    def expected_seconds(self, space: str | None) -> float:
        """How long a small call would take now; 0 if that is not known."""
        return self._pool.expected_seconds(space)

    def has_room(self, space: str | None, *, after_seconds: float) -> bool:
        """Whether `require_room` would let a call pass."""
        return self._pool.has_room(space, after_seconds=after_seconds)

    def require_room(self, space: str | None, *, after_seconds: float) -> None:
        """Raises OverloadedError if a call that began `after_seconds` from now would be refused for its deadline."""
        self._pool.require_room(space, after_seconds=after_seconds)

    def replicas(self) -> Sequence[gateway_pb2.Replica]:
        """Every known replica, by address."""
        return [
            gateway_pb2.Replica(
                address=each.address,
                serving=each.serving,
                reason=each.reason,
                model=each.model,
                queue_seconds=each.queue_seconds(),
                calls_in_flight=each.in_flight,
            )
            for each in self._pool.replicas()
        ]

    def watches(self) -> Mapping[str, int]:
        """By address how often its health was watched anew."""
        return {each.address: each.watches for each in self._pool.replicas()}

    def models(self) -> list[model_pb2.Model]:
        """The models that serve at present, one a replica."""
        return [each.model for each in self._pool.replicas() if each.serving and each.model is not None]

    async def ask(
        self,
        path: str,
        method: Callable[[StubT], Method[Request, Response]],
        request: Request,
        space: str | None,
        parts: Sequence[bytes] = (),
    ) -> Answer[Response]:
        """One call, accounted for under `path` (`package.Service/Method`); answered in `space`, unless that is None.

        Args:
            parts: by what equal requests are found where they are large; all of the request if not said.
        """
        begin = time.perf_counter()

        async def call() -> Response:
            require_room_after(self.name)
            with translated_errors(self.name):
                return await self._pool.call(method, request, space=space)

        key = EqualRequest((path, space), request, parts or [request.SerializeToString(deterministic=True)])
        response = await self._calls.ask(key, call)
        if space is not None and response.model.space != space:
            # The replica was replaced under its address, and the health watch has not told yet.
            message = f"{self.name}: answered in space {response.model.space!r} instead of {space!r}"
            raise FailedPreconditionError(message, reason=Reason.SPACE_MISMATCH)
        stage = model_pb2.Stage(
            method=path,
            model=response.model,
            timings=response.timings,
            elapsed_seconds=time.perf_counter() - begin,
        )
        return Answer(message=response, stage=stage)

    async def _get_model(
        self,
        method: Callable[[StubT], grpc.aio.UnaryUnaryMultiCallable[Request, Reply]],
        request: Request,
        address: str,
        timeout_seconds: float,
    ) -> model_pb2.ModelCapabilities:
        with translated_errors(self.name):
            reply = await self._pool.call_replica(address, method, request, timeout_seconds=timeout_seconds)
        return reply.capabilities


class TextEncoderClient(ServiceClient["TextStub"]):
    """`TextEncoder` by diptych.text.v1."""

    async def encode_text(
        self, texts: Sequence[str], *, space: str | None
    ) -> Answer[text_encoding_pb2.EncodeTextResponse]:
        """One encoding a text."""
        return await self.ask(
            ENCODE_TEXT,
            lambda stub: stub.EncodeText,
            text_encoding_pb2.EncodeTextRequest(texts=texts),
            space,
        )

    async def capabilities(self, address: str, *, timeout_seconds: float) -> model_pb2.ModelCapabilities:
        """What the model of one replica can do."""
        request = text_encoding_pb2.GetModelRequest()
        return await self._get_model(lambda stub: stub.GetModel, request, address, timeout_seconds)


class ImageClassifierClient(ServiceClient["ClassificationStub"]):
    """`ImageClassifier` by diptych.classification.v1."""

    async def classify_image(
        self,
        images: Sequence[bytes],
        *,
        top_k: int,
        language: str,
        space: str | None,
        include_encodings: bool = False,
        label_encodings: Sequence[encoding_pb2.Encoding] = (),
        heads: Sequence[str] = (),
    ) -> Answer[classification_pb2.ClassifyImageResponse]:
        """One classification an image file, of the model's classes or of the labels; with its encoding if asked for."""
        return await self.ask(
            "diptych.classification.v1.ClassificationService/ClassifyImage",
            lambda stub: stub.ClassifyImage,
            classification_pb2.ClassifyImageRequest(
                images=images,
                top_k=top_k,
                language=language,
                include_encodings=include_encodings,
                label_encodings=label_encodings,
                heads=heads,
            ),
            space,
            images,
        )

    async def capabilities(self, address: str, *, timeout_seconds: float) -> model_pb2.ModelCapabilities:
        """What the model of one replica can do."""
        request = classification_pb2.GetModelRequest()
        return await self._get_model(lambda stub: stub.GetModel, request, address, timeout_seconds)


class ImageGeneratorClient(ServiceClient["GenerationStub"]):
    """`ImageGenerator` by diptych.generation.v1."""

    async def generate_image(
        self,
        encoding: encoding_pb2.Encoding,
        *,
        seeds: Sequence[int],
        file_format: image_pb2.ImageFormat.ValueType,
        quality: int,
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        """One picture a seed, by a replica of the encoding's space."""
        return await self.ask(
            "diptych.generation.v1.GenerationService/GenerateImage",
            lambda stub: stub.GenerateImage,
            generation_pb2.GenerateImageRequest(encoding=encoding, seeds=seeds, format=file_format, quality=quality),
            encoding.space,
        )

    async def capabilities(self, address: str, *, timeout_seconds: float) -> model_pb2.ModelCapabilities:
        """What the model of one replica can do."""
        request = generation_pb2.GetModelRequest()
        return await self._get_model(lambda stub: stub.GetModel, request, address, timeout_seconds)


class CaptionerClient(ServiceClient["CaptioningStub"]):
    """`Captioner` by diptych.captioning.v1."""

    async def generate_caption(
        self,
        encodings: Sequence[encoding_pb2.Encoding],
        *,
        language: str,
        candidates: int,
        sampling: sampling_pb2.CaptionSampling | None = None,
    ) -> Answer[captioning_pb2.GenerateCaptionResponse]:
        """Captions for each encoding, by a replica of the encodings' space."""
        return await self.ask(
            "diptych.captioning.v1.CaptioningService/GenerateCaption",
            lambda stub: stub.GenerateCaption,
            captioning_pb2.GenerateCaptionRequest(
                encodings=encodings, language=language, candidates=candidates, sampling=sampling
            ),
            encodings[0].space,
        )

    async def capabilities(self, address: str, *, timeout_seconds: float) -> model_pb2.ModelCapabilities:
        """What the model of one replica can do."""
        request = captioning_pb2.GetModelRequest()
        return await self._get_model(lambda stub: stub.GetModel, request, address, timeout_seconds)
