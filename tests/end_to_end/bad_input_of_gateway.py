"""Bad input of the gateway, as a table: what it refuses itself, and what services refuse behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from tests import hostile_pictures, hostile_requests
from tests.end_to_end.bad_input import GOOD_PICTURE, HUGE, LONG, TEXT_FILE, Case, Request
from tests.end_to_end.bad_input_of_services import BOMBS, NOT_UTF8, raw
from tests.end_to_end.pictures import bomb, truncated_jpeg

PNG, JPEG = 1, 2


def paint(prompt: str = "a cat", **fields: Any) -> Request:
    return lambda good: gateway_pb2.TextToImageRequest(prompt=prompt, **fields)


def stream(prompt: str = "a cat", **fields: Any) -> Request:
    return lambda good: gateway_pb2.StreamTextToImageRequest(prompt=prompt, **fields)


def describe(*images: bytes, **fields: Any) -> Request:
    return lambda good: gateway_pb2.ImageToTextRequest(images=images, **fields)


def classify(*images: bytes, **fields: Any) -> Request:
    return lambda good: gateway_pb2.ClassifyImageRequest(images=images, **fields)


def classify_by_labels(*images: bytes) -> Request:
    return classify(*images, labels=["a cat", "a dog"])


def encode_images(*images: bytes, **fields: Any) -> Request:
    return lambda good: gateway_pb2.EncodeImageRequest(images=images, **fields)


def encode(*texts: str, **fields: Any) -> Request:
    return lambda good: gateway_pb2.EncodeTextRequest(texts=texts, **fields)


def labels(*values: str, **fields: Any) -> Request:
    return classify(GOOD_PICTURE, labels=values, **fields)


Make = Callable[..., Request]
PAINTING: dict[str, Make] = {"TextToImage": paint, "StreamTextToImage": stream}
READING: dict[str, Make] = {
    "ImageToText": describe,
    "ClassifyImage": classify,
    "ClassifyImage by labels": classify_by_labels,
    "EncodeImage": encode_images,
}

_MISSING, _LONG, _MANY, _INVALID, _HEAVY = (
    Reason.FIELD_MISSING,
    Reason.TEXT_TOO_LONG,
    Reason.TOO_MANY_ITEMS,
    Reason.FIELD_INVALID,
    Reason.REQUEST_TOO_LARGE,
)
_PAINTING_FAULTS: tuple[tuple[str, dict[str, Any], Reason, str, tuple[str, ...]], ...] = (
    ("empty prompt", dict(prompt=""), _MISSING, "prompt", ("500",)),
    ("blank prompt", dict(prompt=" \u3000\n"), _MISSING, "prompt", ("3",)),
    ("long prompt", dict(prompt=LONG), _LONG, "prompt", ("5000", "500")),
    ("17 seeds", dict(seeds=range(17)), _MANY, "seeds", ("17", "16")),
    ("17 pictures", dict(image_count=17), _MANY, "image_count", ("17", "16")),
    ("17 candidates", dict(candidates=17), _MANY, "candidates", ("17", "16")),
    ("4294967295 pictures", dict(image_count=2**32 - 1), _MANY, "image_count", ("4294967295", "16")),
    ("count unlike seeds", dict(seeds=[1, 2], image_count=3), _INVALID, "image_count", ("3", "2")),
    ("count over candidates", dict(image_count=4, candidates=2), _INVALID, "candidates", ("4", "2")),
    ("seeds unlike candidates", dict(seeds=[1, 2], candidates=3), _INVALID, "candidates", ("3", "2")),
    ("unknown format", dict(format=99), _INVALID, "format", ("99",)),
    ("quality for PNG", dict(quality=80), _INVALID, "quality", ("80", "PNG")),
    ("quality for said PNG", dict(format=PNG, quality=80), _INVALID, "quality", ("80", "PNG")),
    ("quality 101", dict(format=JPEG, quality=101), _INVALID, "quality", ("101", "100")),
    ("space not served", dict(space="elsewhere"), Reason.SPACE_NOT_SERVED, "", ("'elsewhere'",)),
    ("huge space", dict(space=HUGE), Reason.SPACE_NOT_SERVED, "", ()),
)
_IMAGE_FAULTS: tuple[tuple[str, tuple[bytes, ...], Reason, str, tuple[str, ...]], ...] = (
    ("no images", (), _MISSING, "images", ("16",)),
    ("17 images", (GOOD_PICTURE,) * 17, _MANY, "images", ("17", "16")),
    ("0 bytes", (GOOD_PICTURE, b""), _MISSING, "images[1]", ()),
    ("9 MiB", (b"\x89PNG" + bytes(9 << 20),), Reason.IMAGE_TOO_LARGE, "images[0]", ("9437188", "8388608")),
    ("text file", (GOOD_PICTURE, TEXT_FILE), Reason.IMAGE_UNREADABLE, "images[1]", ("PNG", "BMP")),
    ("truncated JPEG", (truncated_jpeg(), GOOD_PICTURE), Reason.IMAGE_DAMAGED, "images[0]", ("JPEG",)),
    *(
        (f"{kind} bomb", (GOOD_PICTURE, GOOD_PICTURE, bomb(kind)), Reason.IMAGE_TOO_LARGE, "images[2]", (told,))
        for kind, told in BOMBS.items()
    ),
    *(
        (f"many {kind}", (hostile_pictures.REFUSED[kind][0](),), Reason.IMAGE_TOO_LARGE, "images[0]", ())
        for kind in ("EXIF segments", "PNG chunks", "scans")
    ),
)
_OTHERS: tuple[tuple[str, Request, Reason, str, tuple[str, ...]], ...] = (
    ("no texts", encode(), _MISSING, "texts", ("64",)),
    ("65 texts", encode(*["a cat"] * 65), _MANY, "texts", ("65", "64")),
    ("empty text", encode("a cat", ""), _MISSING, "texts[1]", ("500",)),
    ("blank text", encode("a cat", " "), _MISSING, "texts[1]", ("1",)),
    ("long text", encode(LONG), _LONG, "texts[0]", ("5000", "500")),
    ("texts, space not served", encode("a", space="elsewhere"), Reason.SPACE_NOT_SERVED, "", ("'elsewhere'",)),
    (
        "images, space not served",
        encode_images(GOOD_PICTURE, space="elsewhere"),
        Reason.SPACE_NOT_SERVED,
        "",
        ("'elsewhere'",),
    ),
    ("257 labels", labels(*["a cat"] * 257), _MANY, "labels", ("257", "256")),
    ("empty label", labels("a cat", ""), _MISSING, "labels[1]", ("500",)),
    ("blank label", labels("a cat", "\u3000"), _MISSING, "labels[1]", ("1",)),
    ("long label", labels("a cat", "a dog", LONG), _LONG, "labels[2]", ("5000", "500")),
    ("caption language", describe(GOOD_PICTURE, language="tlh"), Reason.LANGUAGE_UNKNOWN, "language", ("'tlh'",)),
    ("label language", classify(GOOD_PICTURE, language="tlh"), Reason.LANGUAGE_UNKNOWN, "language", ("'tlh'",)),
    ("huge language", classify(GOOD_PICTURE, language=HUGE), Reason.LANGUAGE_UNKNOWN, "language", ()),
    ("17 captions", describe(GOOD_PICTURE, candidates=17), _MANY, "candidates", ("17", "16")),
    ("4 M empty texts", raw("EncodeText", hostile_requests.EMPTY_FIRST_FIELDS), _HEAVY, "texts", ()),
    ("4 M empty pictures", raw("ImageToText", hostile_requests.EMPTY_FIRST_FIELDS), _HEAVY, "images", ()),
    ("8 M seeds", raw("TextToImage", hostile_requests.SEEDS), _HEAVY, "seeds", ()),
    ("8 M seeds, stream", raw("StreamTextToImage", hostile_requests.SEEDS), _HEAVY, "seeds", ()),
    ("prompt of 16 MiB", raw("TextToImage", hostile_requests.LONG_TEXT), _HEAVY, "prompt", ()),
    ("prompt not UTF-8", raw("TextToImage", NOT_UTF8), Reason.MALFORMED_MESSAGE, "", ()),
    ("prompt not UTF-8, stream", raw("StreamTextToImage", NOT_UTF8), Reason.MALFORMED_MESSAGE, "", ()),
    ("text not UTF-8", raw("EncodeText", NOT_UTF8), Reason.MALFORMED_MESSAGE, "", ()),
)

CASES = [
    *(
        Case("gateway", f"{call}, {what}", make(**fields), reason, field, told)
        for call, make in PAINTING.items()
        for what, fields, reason, field, told in _PAINTING_FAULTS
    ),
    *(
        Case("gateway", f"{call}, {what}", make(*images), reason, field, told)
        for call, make in READING.items()
        for what, images, reason, field, told in _IMAGE_FAULTS
    ),
    *(Case("gateway", *row) for row in _OTHERS),
]
