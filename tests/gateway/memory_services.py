"""Model services in memory, for flows: each notes the spaces it was asked in; `before` runs first and may raise."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from diptych.classification.v1 import classification_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2, image_pb2, label_pb2, model_pb2
from gateway.painting import Painters
from gateway.ports import Answer
from gateway.room import require_room_after
from shared.errors import OverloadedError


@dataclass
class MemoryService:
    """What the services have in common."""

    served: Mapping[str, int]
    name: str = ""
    before: Callable[[], None] = lambda: None
    asked: list[str | None] = field(default_factory=list)
    answer_seconds: float = 0.0
    """What a call takes."""
    left_seconds: float = math.inf
    """Until the caller's deadline."""
    busy: Collection[str | None] = ()
    """Spaces in which no call has room."""
    away: Collection[str] = ()
    """Spaces of replicas that do not serve at present."""
    patience_seconds: float = 0.0
    """How long a call waits for a replica."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a replica begins to serve."""

    def may_serve(self, space: str) -> bool:
        return space in self.served or space in self.away

    async def wait_for_change(self, since: float) -> None:
        async with asyncio.timeout_at(since + self.patience_seconds):
            await self.changed.wait()

    def expected_seconds(self, space: str | None) -> float:
        return self.answer_seconds

    def has_room(self, space: str | None, *, after_seconds: float) -> bool:
        return space not in self.busy and after_seconds + self.answer_seconds <= self.left_seconds

    def require_room(self, space: str | None, *, after_seconds: float) -> None:
        if not self.has_room(space, after_seconds=after_seconds):
            raise OverloadedError(f"{self.name}: too late")

    def spaces(self) -> Mapping[str, int]:
        return self.served

    def meet(self, space: str | None) -> None:
        require_room_after(self.name)
        self.asked.append(space)
        self.before()


@dataclass
class MemoryEncoder(MemoryService):
    """A text encoder whose encodings are of the space it is asked for."""

    name: str = "text"
    texts: list[Sequence[str]] = field(default_factory=list)

    async def encode_text(
        self, texts: Sequence[str], *, space: str | None
    ) -> Answer[text_encoding_pb2.EncodeTextResponse]:
        self.meet(space)
        self.texts.append(texts)
        encodings = [encoding_pb2.Encoding(space=space or "any", vector=[1.0, 0.0]) for _ in texts]
        return Answer(message=text_encoding_pb2.EncodeTextResponse(encodings=encodings), stage=_stage("encode"))


@dataclass
class MemoryGenerator(MemoryService):
    """A generator whose pictures are their seeds in words; `seconds` says how long each takes."""

    name: str = "generation"
    seconds: Callable[[int], float] = lambda seed: 0.0
    cancelled: list[int] = field(default_factory=list)

    async def generate_image(
        self,
        encoding: encoding_pb2.Encoding,
        *,
        seeds: Sequence[int],
        file_format: image_pb2.ImageFormat.ValueType,
        quality: int,
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        self.meet(encoding.space)
        try:
            await asyncio.sleep(sum(map(self.seconds, seeds)))
        except asyncio.CancelledError:
            self.cancelled += seeds
            raise
        images = [
            generation_pb2.GeneratedImage(seed=seed, image=image_pb2.Image(data=str(seed).encode())) for seed in seeds
        ]
        return Answer(message=generation_pb2.GenerateImageResponse(images=images), stage=_stage("generate"))


@dataclass
class MemoryClassifier(MemoryService):
    """A classifier that sees a picture of N hundredths as near to a prompt as N says; labels are all alike."""

    name: str = "classification"

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
        self.meet(space)
        labels = [label_pb2.Label(id=str(place)) for place in range(len(label_encodings))][:top_k]
        seen = [
            classification_pb2.Classification(
                labels=labels, encoding=encoding_pb2.Encoding(space=space or "any", vector=[int(image) / 100, 0.5])
            )
            for image in images
        ]
        return Answer(message=classification_pb2.ClassifyImageResponse(classifications=seen), stage=_stage("classify"))


def painters(
    encoder: MemoryEncoder, generator: MemoryGenerator, classifier: MemoryClassifier | None = None
) -> Painters:
    """The three as one."""
    return Painters(encoder=encoder, generator=generator, classifier=classifier or MemoryClassifier({}))


def _stage(method: str) -> model_pb2.Stage:
    return model_pb2.Stage(method=method)
