"""What the flows need of the model services, and nothing about how it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2, image_pb2, model_pb2, sampling_pb2

Message = TypeVar("Message")
SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"].full_name
"""What the gateway itself is called on the wire."""
ENCODE_TEXT = "diptych.text.v1.TextEncodingService/EncodeText"
"""`Stage.method` of encoded texts, whoever had them."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[Message]):
    """A model service's response, and the account of its part in a flow.

    The message may be the answer to other calls as well: nobody may change it.
    """

    message: Message
    stage: model_pb2.Stage


class ModelService(Protocol):
    """What every model service offers.

    Its calls raise CallError. `space` limits a call to replicas of that joint space, None to none in particular.
    """

    @property
    def name(self) -> str:
        """The service's name in errors, such as `text`."""

    def spaces(self) -> Mapping[str, int]:
        """Number of serving replicas by joint space; empty while none serves."""

    def may_serve(self, space: str) -> bool:
        """Whether a known replica is, or may be, of that joint space, serving or not."""

    async def wait_for_change(self, since: float) -> None:
        """Returns when a replica has begun or ceased to serve.

        Raises TimeoutError when a call that waits since then, by the loop's clock, has waited for as long as calls do.
        """

    def expected_seconds(self, space: str | None) -> float:
        """How long a small call would take now; 0 if that is not known."""

    def has_room(self, space: str | None, *, after_seconds: float) -> bool:
        """Whether `require_room` would let a call pass."""

    def require_room(self, space: str | None, *, after_seconds: float) -> None:
        """Raises OverloadedError if a call that began `after_seconds` from now would be refused for its deadline."""


class ServiceDirectory(ModelService, Protocol):
    """What a model service tells of its replicas and models."""

    def replicas(self) -> Sequence[gateway_pb2.Replica]:
        """Every known replica, by address."""

    def watches(self) -> Mapping[str, int]:
        """By address how often its health was watched anew, as after each restart: what was known of it is then old."""

    async def capabilities(self, address: str, *, timeout_seconds: float) -> model_pb2.ModelCapabilities:
        """What the model of one replica can do, as the replica says."""


class TextEncoder(ModelService, Protocol):
    """Texts to encodings."""

    async def encode_text(
        self, texts: Sequence[str], *, space: str | None
    ) -> Answer[text_encoding_pb2.EncodeTextResponse]:
        """One encoding a text."""


class ServedTextEncoder(TextEncoder, Protocol):
    """A text encoder that knows its models."""

    def models(self) -> Sequence[model_pb2.Model]:
        """The models that serve at present, one a replica."""


class ImageClassifier(ModelService, Protocol):
    """Images to labels, and to encodings."""

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


class ImageGenerator(ModelService, Protocol):
    """Encodings to images."""

    async def generate_image(
        self,
        encoding: encoding_pb2.Encoding,
        *,
        seeds: Sequence[int],
        file_format: image_pb2.ImageFormat.ValueType,
        quality: int,
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        """One picture a seed, by a replica of the encoding's space."""


class Captioner(ModelService, Protocol):
    """Image encodings to sentences."""

    async def generate_caption(
        self,
        encodings: Sequence[encoding_pb2.Encoding],
        *,
        language: str,
        candidates: int,
        sampling: sampling_pb2.CaptionSampling | None = None,
    ) -> Answer[captioning_pb2.GenerateCaptionResponse]:
        """Captions for each encoding, by a replica of the encodings' space; all are of one space."""
