"""What the gateway refuses before any model service is asked; each function returns what it checked.

Every refusal is an InvalidArgumentError with the field's path, the value and the limit. What only a model can know
(languages, whether a file is a picture) is left to the services.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2, sampling_pb2
from gateway.painting import Painting
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.sampling import check_sampling

PaintingRequest = gateway_pb2.TextToImageRequest | gateway_pb2.StreamTextToImageRequest
MAX_QUALITY = 100
LOSSLESS = (image_pb2.IMAGE_FORMAT_UNSPECIFIED, image_pb2.IMAGE_FORMAT_PNG)


def painting(request: PaintingRequest, limits: gateway_pb2.Limits, draw: Callable[[], int]) -> Painting:
    """What to paint, with seeds drawn from `draw` where the caller gave none."""
    prompt = text(request.prompt, "prompt", limits)
    _check_counts(request, limits.images)
    _check_coding(request)
    wanted, candidates = request.image_count, request.candidates
    seeds: Sequence[int] = request.seeds
    if not seeds:
        base = draw()
        seeds = range(base, base + (candidates or wanted or 1))
    return Painting(
        prompt=prompt,
        seeds=seeds,
        keep=(wanted or len(request.seeds) or 1) if candidates else 0,
        format=request.format,
        quality=request.quality,
        embed_prompt=request.embed_prompt if request.HasField("embed_prompt") else True,
        space=request.space,
        counted="seeds" if request.seeds else "candidates" if candidates else "image_count",
    )


def _check_counts(request: PaintingRequest, limit: int) -> None:
    """Seeds, pictures and candidates: none over the limit, and none against another."""
    given, wanted, candidates = len(request.seeds), request.image_count, request.candidates
    for field, number in (("image_count", wanted), ("candidates", candidates)):
        if number > limit:
            raise _refusal(f"{field} is {number}; the limit is {limit}", Reason.TOO_MANY_ITEMS, field)
    if given > limit:
        raise _refusal(f"seeds has {given} entries; the limit is {limit}", Reason.TOO_MANY_ITEMS, "seeds")
    if candidates and given not in (0, candidates):
        message = f"candidates is {candidates} with {given} seeds; it must be 0 or the number of seeds"
        raise _refusal(message, Reason.FIELD_INVALID, "candidates")
    if candidates and wanted > candidates:
        message = f"candidates is {candidates} with image_count {wanted}; it must be 0, or {wanted} to {limit}"
        raise _refusal(message, Reason.FIELD_INVALID, "candidates")
    if given and not candidates and wanted not in (0, given):
        message = f"image_count is {wanted} with {given} seeds; it must be 0 or the number of seeds"
        raise _refusal(message, Reason.FIELD_INVALID, "image_count")


def _check_coding(request: PaintingRequest) -> None:
    """Format and quality, and that they go together."""
    known = image_pb2.ImageFormat.values()
    if request.format not in known:
        message = f"format is {request.format}; it must be one of {', '.join(map(str, known))}"
        raise _refusal(message, Reason.FIELD_INVALID, "format")
    if request.quality > MAX_QUALITY:
        message = f"quality is {request.quality}; it must be 1 to {MAX_QUALITY}, or 0 for the default"
        raise _refusal(message, Reason.FIELD_INVALID, "quality")
    if request.quality and request.format in LOSSLESS:
        message = f"quality is {request.quality} for PNG, which is lossless; it must be 0"
        raise _refusal(message, Reason.FIELD_INVALID, "quality")


def text(value: str, field: str, limits: gateway_pb2.Limits) -> str:
    """A prompt, a text or a label: 1 code point to the limit, not all blank."""
    limit = limits.prompt_characters
    if not value:
        raise _refusal(f"{field} is empty; it must have 1 to {limit} characters", Reason.FIELD_MISSING, field)
    if len(value) > limit:
        raise _refusal(f"{field} has {len(value)} characters; the limit is {limit}", Reason.TEXT_TOO_LONG, field)
    if not value.strip():
        raise _refusal(f"{field} has {len(value)} characters, all blank", Reason.FIELD_MISSING, field)
    return value


def texts(values: Sequence[str], limits: gateway_pb2.Limits) -> Sequence[str]:
    """The texts of EncodeText."""
    _check_number(len(values), limits.texts, "texts")
    for index, value in enumerate(values):
        text(value, f"texts[{index}]", limits)
    return values


def labels(values: Sequence[str], limits: gateway_pb2.Limits) -> Sequence[str]:
    """The caller's own labels; none is no fault."""
    if values:
        _check_number(len(values), limits.labels, "labels")
    for index, value in enumerate(values):
        text(value, f"labels[{index}]", limits)
    return values


def no_heads_beside_labels(request: gateway_pb2.ClassifyImageRequest) -> None:
    """Labels of the caller's own are no head's; which heads there are only the model knows."""
    if request.labels and request.heads:
        message = f"heads names {request.heads[0]!r} beside labels; name heads, or send labels of your own"
        raise _refusal(message, Reason.FIELD_INVALID, "heads")


def images(values: Sequence[bytes], limits: gateway_pb2.Limits) -> Sequence[bytes]:
    """Image files: their number and sizes; their contents are checked where they are decoded."""
    _check_number(len(values), limits.images, "images")
    for index, value in enumerate(values):
        field = f"images[{index}]"
        if not value:
            raise _refusal(f"{field} is empty; send a picture file's bytes", Reason.FIELD_MISSING, field)
        if len(value) > limits.image_bytes:
            message = f"{field} has {len(value)} bytes; the limit is {limits.image_bytes}"
            raise _refusal(message, Reason.IMAGE_TOO_LARGE, field)
    return values


def caption_candidates(value: int, limits: gateway_pb2.Limits) -> int:
    """Captions wanted a picture; 0 is the service's default."""
    limit = limits.caption_candidates
    if value > limit:
        raise _refusal(f"candidates is {value}; the limit is {limit}", Reason.TOO_MANY_ITEMS, "candidates")
    return value


def sampling(request: gateway_pb2.ImageToTextRequest, draw: Callable[[], int]) -> sampling_pb2.CaptionSampling | None:
    """How captions are drawn, with a seed from `draw` where the caller gave none; None: they are searched for."""
    if not request.HasField("sampling"):
        return None
    check_sampling(request.sampling)
    seed = request.sampling.seed if request.sampling.HasField("seed") else draw()
    return sampling_pb2.CaptionSampling(
        seed=seed, temperature=request.sampling.temperature, top_p=request.sampling.top_p
    )


def _check_number(number: int, limit: int, field: str) -> None:
    if not number:
        raise _refusal(f"{field} is empty; it must have 1 to {limit} entries", Reason.FIELD_MISSING, field)
    if number > limit:
        raise _refusal(f"{field} has {number} entries; the limit is {limit}", Reason.TOO_MANY_ITEMS, field)


def _refusal(message: str, reason: Reason, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason=reason, field=field)
