"""Bad input of the four model services, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from shared.codes import Reason
from tests import hostile_pictures
from tests.end_to_end.bad_input import (
    GOOD_PICTURE,
    HUGE,
    LONG,
    NAN,
    SPACE_WIDTH,
    TEXT_FILE,
    Case,
    Encodings,
    Raw,
    Request,
    changed,
)
from tests.end_to_end.pictures import bomb, picture_file, truncated_jpeg
from tests.hostile_requests import EMPTY_FIRST_FIELDS, LONG_TEXT, SEEDS

BOMBS = {"PNG": "900000000", "JPEG": "900000000", "GIF": "900000000", "BMP": "900000000", "WEBP": "268402689"}
"""Pictures of gigabytes in small files, and what the message says of them."""


def texts(*values: str) -> Request:
    return lambda good: text_encoding_pb2.EncodeTextRequest(texts=values)


def classify(*images: bytes, **fields: Any) -> Request:
    return lambda good: classification_pb2.ClassifyImageRequest(images=images, **fields)


def labelled(count: int = 1, **changes: Any) -> Request:
    """The first label encodings are good and the last is spoilt."""

    def make(good: Encodings) -> classification_pb2.ClassifyImageRequest:
        labels = [good.text] * (count - 1) + [changed(good.text, changes)]
        return classification_pb2.ClassifyImageRequest(images=[GOOD_PICTURE], label_encodings=labels)

    return make


def paint(seeds: int = 1, format: int = 0, quality: int = 0, **changes: Any) -> Request:  # noqa: A002 - the field's name
    def make(good: Encodings) -> generation_pb2.GenerateImageRequest:
        encoding = changed(good.text, changes)
        return generation_pb2.GenerateImageRequest(
            encoding=encoding,
            seeds=range(seeds),
            format=format,  # type: ignore[arg-type]  # a number that the enum has not
            quality=quality,
        )

    return make


def caption(count: int = 1, language: str = "en", candidates: int = 0, **changes: Any) -> Request:
    """The first encodings are good and the last is spoilt."""

    def make(good: Encodings) -> captioning_pb2.GenerateCaptionRequest:
        encodings = [good.image] * (count - 1) + [changed(good.image, changes)] * min(count, 1)
        return captioning_pb2.GenerateCaptionRequest(encodings=encodings, language=language, candidates=candidates)

    return make


def raw(method: str, data: bytes) -> Request:
    return lambda good: Raw(method, data)


NOT_UTF8 = b"\x0a\x03\xff\xfe\xfd"
"""Field 1 with three bytes that are no UTF-8."""
CUT_OFF = b"\x0a\x40abc"
"""Field 1 with 64 bytes, of which three are there."""

TEXT = [
    Case("text", "no texts", texts(), Reason.FIELD_MISSING, "texts", ("0", "64")),
    Case("text", "empty text", texts("a cat", ""), Reason.FIELD_MISSING, "texts[1]", ("500",)),
    Case("text", "blank text", texts(" \t\n\u3000"), Reason.FIELD_MISSING, "texts[0]", ("500",)),
    Case("text", "long text", texts("a cat", "a dog", LONG), Reason.TEXT_TOO_LONG, "texts[2]", ("5000", "500")),
    Case("text", "65 texts", texts(*["a cat"] * 65), Reason.TOO_MANY_ITEMS, "texts", ("65", "64")),
    Case("text", "not UTF-8", raw("EncodeText", NOT_UTF8), Reason.MALFORMED_MESSAGE),
    Case("text", "4 M empty", raw("EncodeText", EMPTY_FIRST_FIELDS), Reason.REQUEST_TOO_LARGE, "texts"),
    Case("text", "16 MiB", raw("EncodeText", LONG_TEXT), Reason.REQUEST_TOO_LARGE, "texts"),
    Case("text", "cut off", raw("EncodeText", CUT_OFF), Reason.MALFORMED_MESSAGE),
]

CLASSIFICATION = [
    Case("classification", what, make, reason, field, told)
    for what, make, reason, field, told in (
        ("no images", classify(), Reason.FIELD_MISSING, "images", ("0", "16")),
        ("17 images", classify(*[GOOD_PICTURE] * 17), Reason.TOO_MANY_ITEMS, "images", ("17", "16")),
        ("text file", classify(GOOD_PICTURE, TEXT_FILE), Reason.IMAGE_UNREADABLE, "images[1]", ("PNG", "BMP")),
        ("truncated JPEG", classify(truncated_jpeg()), Reason.IMAGE_DAMAGED, "images[0]", ("JPEG",)),
        ("truncated PNG", classify(picture_file("PNG")[:100]), Reason.IMAGE_DAMAGED, "images[0]", ("PNG",)),
        ("0 bytes", classify(b""), Reason.FIELD_MISSING, "images[0]", ()),
        ("9 MiB", classify(bytes(9 << 20)), Reason.IMAGE_TOO_LARGE, "images[0]", ("9437184", "8388608")),
        ("language", classify(GOOD_PICTURE, language="tlh"), Reason.LANGUAGE_UNKNOWN, "language", ("'tlh'", "en, zh")),
        ("huge language", classify(GOOD_PICTURE, language=HUGE), Reason.LANGUAGE_UNKNOWN, "language", ()),
        ("257 labels", labelled(257), Reason.TOO_MANY_ITEMS, "label_encodings", ("257", "256")),
        ("label short", labelled(2, vector=[1.0]), Reason.ENCODING_INVALID, "label_encodings[1]", ("1", "32")),
        ("label empty", labelled(2, vector=[]), Reason.ENCODING_INVALID, "label_encodings[1]", ("0", "32")),
        ("label zero", labelled(3, vector=[0.0] * SPACE_WIDTH), Reason.ENCODING_INVALID, "label_encodings[2]", ()),
        ("label NaN", labelled(1, vector=[NAN] * SPACE_WIDTH), Reason.ENCODING_INVALID, "label_encodings[0]", ()),
        (
            "label long",
            labelled(2, vector=[0.5] * 20_000),
            Reason.ENCODING_INVALID,
            "label_encodings[1]",
            ("20000", "16384"),
        ),
        (
            "4 M empty",
            raw("ClassifyImage", EMPTY_FIRST_FIELDS),
            Reason.REQUEST_TOO_LARGE,
            "images",
            (),
        ),
        ("label space", labelled(2, space="elsewhere"), Reason.SPACE_MISMATCH, "", ("'elsewhere'", "'tiny'")),
        ("not UTF-8", raw("ClassifyImage", b"\x1a" + NOT_UTF8[1:]), Reason.MALFORMED_MESSAGE, "", ()),
    )
] + [
    Case(
        "classification",
        f"{kind} bomb",
        classify(GOOD_PICTURE, bomb(kind)),
        Reason.IMAGE_TOO_LARGE,
        "images[1]",
        (told,),
    )
    for kind, told in BOMBS.items()
]
CLASSIFICATION += [
    Case("classification", f"many {kind}", classify(GOOD_PICTURE, make()), Reason.IMAGE_TOO_LARGE, "images[1]", (told,))
    for kind, (make, told) in hostile_pictures.REFUSED.items()
]

GENERATION = [
    Case("generation", what, make, reason, field, told)
    for what, make, reason, field, told in (
        ("no seeds", paint(0), Reason.FIELD_MISSING, "seeds", ("0", "16")),
        ("17 seeds", paint(17), Reason.TOO_MANY_ITEMS, "seeds", ("17", "16")),
        ("other space", paint(space="elsewhere"), Reason.SPACE_MISMATCH, "", ("'elsewhere'", "'tiny'")),
        ("huge space", paint(space=HUGE), Reason.SPACE_MISMATCH, "", ()),
        ("no space", paint(space=""), Reason.SPACE_MISMATCH, "", ("'tiny'",)),
        ("short vector", paint(vector=[1.0, 0.0]), Reason.ENCODING_INVALID, "encoding", ("2", "32")),
        ("empty vector", paint(vector=[]), Reason.ENCODING_INVALID, "encoding", ("0", "32")),
        ("zero vector", paint(vector=[0.0] * SPACE_WIDTH), Reason.ENCODING_INVALID, "encoding", ("zero",)),
        ("NaN vector", paint(vector=[NAN] * SPACE_WIDTH), Reason.ENCODING_INVALID, "encoding", ()),
        ("infinite vector", paint(vector=[float("inf")] * SPACE_WIDTH), Reason.ENCODING_INVALID, "encoding", ()),
        ("long vector", paint(vector=[0.5] * 1_000_000), Reason.ENCODING_INVALID, "encoding", ("1000000", "16384")),
        ("2 MiB of tokens", paint(tokens=bytes(2 << 20)), Reason.ENCODING_INVALID, "encoding", ("2097152", "1048576")),
        ("8 M seeds", raw("GenerateImage", SEEDS), Reason.REQUEST_TOO_LARGE, "seeds", ()),
        ("unknown format", paint(format=99), Reason.FIELD_INVALID, "format", ("99",)),
        ("quality for PNG", paint(quality=80), Reason.FIELD_INVALID, "quality", ("80", "PNG")),
        ("quality 101", paint(format=2, quality=101), Reason.FIELD_INVALID, "quality", ("101", "100")),
    )
]


def _captioning() -> Sequence[tuple[str, Request, Reason, str, tuple[str, ...]]]:
    wrong, too_large, first = Reason.ENCODING_INVALID, Reason.REQUEST_TOO_LARGE, "encodings[0]"
    return (
        ("no encodings", caption(0), Reason.FIELD_MISSING, "encodings", ("0", "16")),
        ("17 encodings", caption(17), Reason.TOO_MANY_ITEMS, "encodings", ("17", "16")),
        ("17 candidates", caption(candidates=17), Reason.TOO_MANY_ITEMS, "candidates", ("17", "16")),
        ("other space", caption(2, space="elsewhere"), Reason.SPACE_MISMATCH, "", ("'elsewhere'", "'tiny'")),
        ("no tokens", caption(2, tokens=b"", token_width=0), wrong, "encodings[1]", ("0", "128")),
        ("odd tokens", caption(tokens=b"\x00" * 7), wrong, first, ("7", "128")),
        ("token width", caption(token_width=1 << 31), wrong, first, (str(1 << 31), "16")),
        ("short vector", caption(vector=[1.0]), wrong, first, ("1", "32")),
        ("empty vector", caption(vector=[]), wrong, first, ("0", "32")),
        ("zero vector", caption(vector=[0.0] * SPACE_WIDTH), wrong, first, ("zero",)),
        ("NaN vector", caption(3, vector=[NAN] * SPACE_WIDTH), wrong, "encodings[2]", ()),
        ("NaN tokens", caption(tokens=b"\x00\x7e" * 64), wrong, first, ()),
        ("long vector", caption(2, vector=[0.5] * 1_000_000), wrong, "encodings[1]", ("1000000", "16384")),
        ("2 MiB of tokens", caption(tokens=bytes(2 << 20)), wrong, first, ("2097152", "1048576")),
        ("4 M empty", raw("GenerateCaption", EMPTY_FIRST_FIELDS), too_large, "encodings", ()),
        ("unknown language", caption(language="tlh"), Reason.LANGUAGE_UNKNOWN, "language", ("'tlh'", "en, zh")),
    )


CAPTIONING = [Case("captioning", *row) for row in _captioning()]

CASES = [*TEXT, *CLASSIFICATION, *GENERATION, *CAPTIONING]
