"""Where a picture comes from: told with every picture, written into PNG files, and read back from them."""

from __future__ import annotations

from functools import cache

from google.protobuf import json_format

from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.types.v1 import image_pb2, model_pb2
from gateway import png
from shared.version import diptych_version

KEYWORD = "diptych"
"""Of the iTXt chunk that holds the Provenance as proto-JSON."""


def painted_image(
    picture: generation_pb2.GeneratedImage,
    *,
    prompt: str,
    text_model: model_pb2.Model,
    generation_model: model_pb2.Model,
) -> gateway_pb2.PaintedImage:
    """A picture with its provenance, in the file as well where that is a PNG."""
    provenance = gateway_pb2.Provenance(
        prompt=prompt,
        seed=picture.seed,
        text_model=text_model,
        generation_model=generation_model,
        pixel_sha256=picture.image.pixel_sha256,
        diptych_version=_version(),
    )
    painted = gateway_pb2.PaintedImage(image=picture.image, seed=picture.seed, provenance=provenance)
    if picture.image.format == image_pb2.IMAGE_FORMAT_PNG:
        painted.image.data = embed(picture.image.data, provenance)
    return painted


def embed(data: bytes, provenance: gateway_pb2.Provenance) -> bytes:
    """A PNG file with its provenance inside."""
    return png.with_text(data, KEYWORD, json_format.MessageToJson(provenance, indent=None, ensure_ascii=False))


def read_provenance(data: bytes) -> gateway_pb2.Provenance | None:
    """What a PNG file says of itself; None where it says nothing. Fields of later versions are passed over.

    Raises:
        ValueError: not a PNG file, or what it says is damaged.
    """
    text = png.read_text(data, KEYWORD)
    if text is None:
        return None
    try:
        return json_format.Parse(text, gateway_pb2.Provenance(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(f"damaged provenance: {error}") from None


@cache
def _version() -> str:
    return diptych_version()
