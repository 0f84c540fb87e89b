"""What the Python client returns: typed and frozen, with nothing of gRPC or protobuf in it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path

from gateway.client.files import write_whole

SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""The format of a painted picture, by the end of its file's name."""
NOT_PAINTED = {".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jxl", ".jp2", ".ico", ".svg", ".pdf"}
"""Ends of names that promise a format which no painted picture has."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The model behind an answer; equal digests are equal weights."""

    name: str
    version: str
    digest: str
    """SHA-256 of the weights file, hexadecimal."""
    space: str
    """The joint text-image space that it works in."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One model service's part in an answer, and what it cost."""

    method: str
    """Such as `diptych.text.v1.TextEncodingService/EncodeText`."""
    model: Model
    queue_seconds: float
    inference_seconds: float
    batch_size: int
    """Items in the batch, those of other callers included; 0, as the seconds, where the gateway remembered all."""
    elapsed_seconds: float
    """As the gateway saw it: the network and retries included."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What is needed to paint a picture again, and to know that it is the same."""

    prompt: str
    """Empty where it was not to be embedded."""
    seed: int
    text_model: Model
    generation_model: Model
    pixel_sha256: str
    """SHA-256 of the pixels as painted, 8-bit RGB, row by row from the top; hexadecimal."""
    diptych_version: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A painted picture."""

    data: bytes = field(repr=False)
    """The file's bytes."""
    seed: int
    format: str
    """`png`, `jpeg` or `webp`."""
    width: int
    height: int
    pixel_sha256: str = field(repr=False)
    similarity: float | None
    """Cosine similarity to the prompt, -1 to 1; only with candidates."""
    provenance: Provenance = field(repr=False)
    stages: tuple[Stage, ...] = field(repr=False)

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes the file, and returns its path.

        Raises:
            ValueError: the name ends as that of another format; nothing is written.
            OSError: it cannot be written, or not all of it; what had the name before stays as it was.
        """
        path = Path(fspath(path))
        suffix = path.suffix.lower()
        if suffix in NOT_PAINTED:
            raise ValueError(f"{path}: {suffix[1:]} is not an output format; known are png, jpeg, webp")
        named = SUFFIXES.get(suffix, self.format)
        if named != self.format:
            raise ValueError(f"{path} is named as {named}; the picture is {self.format}: ask for format={named!r}")
        write_whole(path, self.data)
        return path


@dataclass(frozen=True, kw_only=True)
class Caption:
    """One sentence about a picture."""

    text: str
    score: float
    """Mean natural-log probability a token, at most 0; nearer to 0 is surer, also of one that was drawn."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """One class with its probability, 0 to 1."""

    id: str
    """The same in every language; of labels of your own, their place from "0"."""
    text: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Description:
    """One picture in words."""

    captions: tuple[Caption, ...]
    """The likeliest first; at least one."""
    labels: tuple[Label, ...]
    """What is on it, by falling probability: of the first head."""
    heads: dict[str, tuple[Label, ...]] = field(repr=False)
    """The labels of each head, in the order that was asked for; where none was, those of `labels` by their head."""
    seed: int | None
    """That drew the captions; None where the likeliest were searched for."""
    stages: tuple[Stage, ...] = field(repr=False)

    @property
    def text(self) -> str:
        """The likeliest caption."""
        return self.captions[0].text

    @property
    def score(self) -> float:
        """Its score."""
        return self.captions[0].score


@dataclass(frozen=True, kw_only=True)
class Classification:
    """One picture's labels."""

    labels: tuple[Label, ...]
    """By falling probability; at least one: of the first head, or of labels of your own."""
    heads: dict[str, tuple[Label, ...]] = field(repr=False)
    """The labels of each head that was asked for, in that order."""
    stages: tuple[Stage, ...] = field(repr=False)

    @property
    def text(self) -> str:
        """The likeliest label."""
        return self.labels[0].text

    @property
    def probability(self) -> float:
        """Its probability."""
        return self.labels[0].probability


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A text or a picture as a point of a joint space."""

    space: str
    vector: tuple[float, ...] = field(repr=False)
    """Of unit length."""
    stages: tuple[Stage, ...] = field(repr=False)

    def similarity(self, other: Encoding) -> float:
        """Cosine similarity, -1 to 1: the nearer to 1, the more alike.

        Raises:
            ValueError: the two are of different spaces, which cannot be compared.
        """
        if self.space != other.space:
            raise ValueError(f"encodings of spaces {self.space!r} and {other.space!r} cannot be compared")
        return math.fsum(a * b for a, b in zip(self.vector, other.vector, strict=True))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may hold."""

    prompt_characters: int
    texts: int
    images: int
    caption_candidates: int
    labels: int
    image_bytes: int
    image_pixels: int
    image_side: int
    message_bytes: int


@dataclass(frozen=True, kw_only=True)
class Head:
    """A question that a classifier answers."""

    name: str
    """`concept`, or of a model that has them `subgroup`, `background`, `objects`, `colour` or `style`."""
    label_count: int
    multi_label: bool
    """Whether any number of labels fits a picture, each with its own probability; otherwise exactly one does."""
    labels: dict[str, dict[str, str]] = field(repr=False)
    """Names by id and language."""


@dataclass(frozen=True, kw_only=True)
class ModelCapabilities:
    """A model and what it can do; 0 and empty where that is not its task."""

    model: Model
    languages: tuple[str, ...]
    image_width: int
    image_height: int
    labels: dict[str, dict[str, str]] = field(repr=False)
    """The names of each class of its first head, by id and language."""
    heads: tuple[Head, ...]
    """What a classifier answers; the first where none is named."""
    max_items: int


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One replica of a model service."""

    address: str
    serving: bool
    reason: str
    """Why it does not serve; empty while it does."""
    model: Model | None
    """None while it never answered."""
    queue_seconds: float
    calls_in_flight: int


@dataclass(frozen=True, kw_only=True)
class Service:
    """One model service as the gateway sees it."""

    name: str
    models: tuple[ModelCapabilities, ...]
    replicas: tuple[Replica, ...]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a gateway takes and offers at this moment."""

    diptych_version: str
    limits: Limits
    spaces: tuple[str, ...]
    """Those in which every flow can run."""
    languages: tuple[str, ...]
    input_formats: tuple[str, ...]
    output_formats: tuple[str, ...]
    services: tuple[Service, ...]
