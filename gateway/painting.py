"""Painting step by step: a prompt is encoded, pictures are painted, the nearest to the prompt are chosen."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2, image_pb2
from gateway.fields import not_the_callers, renamed_fields
from gateway.ports import Answer, ImageClassifier, ImageGenerator, ModelService, TextEncoder
from gateway.provenance import painted_image

EncodedPrompt = Answer[text_encoding_pb2.EncodeTextResponse]


@dataclass(frozen=True, kw_only=True)
class Painting:
    """What to paint: a request for pictures as `validation` leaves it, with its seeds drawn."""

    prompt: str
    seeds: Sequence[int]
    """A picture each."""
    keep: int = 0
    """How many to return: those nearest to the prompt, the nearest first. 0 returns all in the order of the seeds."""
    format: image_pb2.ImageFormat.ValueType = image_pb2.IMAGE_FORMAT_UNSPECIFIED
    quality: int = 0
    embed_prompt: bool = True
    """Whether the prompt goes into provenance, and with it into files."""
    space: str = ""
    """The only joint space to work in; empty is any."""
    counted: str = "seeds"
    """The field by which the caller said how many."""


@dataclass(frozen=True, kw_only=True)
class Painters:
    """The services behind pictures of a text."""

    encoder: TextEncoder
    generator: ImageGenerator
    classifier: ImageClassifier
    """Chooses among candidates."""

    def needed(self, painting: Painting) -> Sequence[ModelService]:
        """Those that a painting passes through."""
        if painting.keep:
            return self.encoder, self.generator, self.classifier
        return self.encoder, self.generator

    async def encode(self, painting: Painting, space: str | None) -> EncodedPrompt:
        """The prompt's encoding."""
        with renamed_fields({"texts[0]": "prompt"}):
            return await self.encoder.encode_text([painting.prompt], space=space)

    async def paint(
        self, painting: Painting, encoded: EncodedPrompt, seeds: Sequence[int]
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        """One picture a seed, in the space of the encoding."""
        with renamed_fields({"encoding": "prompt", "seeds": painting.counted}):
            return await self.generator.generate_image(
                encoded.message.encodings[0], seeds=seeds, file_format=painting.format, quality=painting.quality
            )

    async def paint_and_choose(self, painting: Painting, encoded: EncodedPrompt) -> gateway_pb2.TextToImageResponse:
        """All pictures, or with `keep` the nearest to the prompt; compared are the very files that are returned."""
        painted = await self.paint(painting, encoded, painting.seeds)
        if not painting.keep:
            return gateway_pb2.TextToImageResponse(
                images=finished(painting, encoded, painted), stages=[encoded.stage, painted.stage]
            )
        [prompt] = encoded.message.encodings
        files = [each.image.data for each in painted.message.images]
        with not_the_callers(self.classifier.name):
            seen = await self.classifier.classify_image(
                files, top_k=1, language="", include_encodings=True, space=prompt.space
            )
        images = finished(painting, encoded, painted)
        for image, each in zip(images, seen.message.classifications, strict=True):
            image.similarity = cosine(prompt, each.encoding)
        images.sort(key=lambda image: image.similarity, reverse=True)  # stable: of equals the earlier seed comes first
        return gateway_pb2.TextToImageResponse(
            images=images[: painting.keep], stages=[encoded.stage, painted.stage, seen.stage]
        )


def finished(
    painting: Painting, encoded: EncodedPrompt, painted: Answer[generation_pb2.GenerateImageResponse]
) -> list[gateway_pb2.PaintedImage]:
    """The pictures of an answer, each with its provenance."""
    return [
        painted_image(
            each,
            prompt=painting.prompt if painting.embed_prompt else "",
            text_model=encoded.message.model,
            generation_model=painted.message.model,
        )
        for each in painted.message.images
    ]


def cosine(one: encoding_pb2.Encoding, other: encoding_pb2.Encoding) -> float:
    """Cosine similarity, -1 to 1, of two encodings of one space: their dot product, since both have unit norm."""
    if len(one.vector) != len(other.vector):
        raise ValueError(f"encodings of {len(one.vector)} and {len(other.vector)} numbers cannot be compared")
    product: float = sum(map(operator.mul, one.vector, other.vector))
    return max(-1.0, min(1.0, product))
