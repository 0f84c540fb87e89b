"""What the gateway refuses before any model service is asked; each function returns what it checked.

Every refusal is an InvalidArgumentError with the field's path, the value and the limit. What only a model can know
(languages, whether a file is a picture) is left to the services.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from shared.errors import InvalidArgumentError


def text(value: str, field: str, limits: GatewaySettings) -> str:
    """A prompt or a text: 1 code point to the limit, not all blank."""
    limit = limits.max_prompt_characters
    if not value:
        raise InvalidArgumentError(f"{field} is empty; it must have 1 to {limit} characters", field=field)
    if len(value) > limit:
        raise InvalidArgumentError(f"{field} has {len(value)} characters; the limit is {limit}", field=field)
    if not value.strip():
        raise InvalidArgumentError(f"{field} has {len(value)} characters, all blank", field=field)
    return value


def texts(values: Sequence[str], limits: GatewaySettings) -> Sequence[str]:
    """The texts of EncodeText."""
    _count(len(values), limits.max_texts, "texts")
    for index, value in enumerate(values):
        text(value, f"texts[{index}]", limits)
    return values


def images(values: Sequence[bytes], limits: GatewaySettings) -> Sequence[bytes]:
    """Image files: their number and sizes; their contents are checked where they are decoded."""
    _count(len(values), limits.max_images, "images")
    for index, value in enumerate(values):
        field = f"images[{index}]"
        if not value:
            raise InvalidArgumentError(f"{field} is empty; send a picture file's bytes", field=field)
        if len(value) > limits.max_image_bytes:
            raise InvalidArgumentError(
                f"{field} has {len(value)} bytes; the limit is {limits.max_image_bytes}", field=field
            )
    return values


def seeds(request: gateway_pb2.TextToImageRequest, limits: GatewaySettings, draw: Callable[[], int]) -> Sequence[int]:
    """The caller's seeds, or as many consecutive ones as pictures are wanted, from a base that `draw` returns."""
    given, wanted, limit = len(request.seeds), request.image_count, limits.max_images
    if given > limit:
        raise InvalidArgumentError(f"seeds has {given} entries; the limit is {limit}", field="seeds")
    if given and wanted not in (0, given):
        raise InvalidArgumentError(
            f"image_count is {wanted} with {given} seeds; it must be 0 or the number of seeds", field="image_count"
        )
    if wanted > limit:
        raise InvalidArgumentError(f"image_count is {wanted}; the limit is {limit}", field="image_count")
    if given:
        return request.seeds
    base = draw()
    return range(base, base + (wanted or 1))


def _count(number: int, limit: int, field: str) -> None:
    if not number:
        raise InvalidArgumentError(f"{field} is empty; it must have 1 to {limit} entries", field=field)
    if number > limit:
        raise InvalidArgumentError(f"{field} has {number} entries; the limit is {limit}", field=field)
