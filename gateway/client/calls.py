"""The calls of the Python client: arguments become a request, and say how its answer is read. Knows no channel.

`Diptych` and `AsyncDiptych` have each of these functions as a method, with the same arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Generic, TypeAlias, TypeVar

from google.protobuf.message import Message

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import sampling_pb2
from gateway.client import answers
from gateway.client.files import checked_size, read_picture
from gateway.client.results import Capabilities, Classification, Description, Encoding, Picture
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.limits import TEXT_BYTES

Result_co = TypeVar("Result_co", covariant=True)
Image: TypeAlias = str | PathLike[str] | bytes | bytearray | memoryview | Picture
"""A picture: the path of a file, its bytes, or one that was painted."""
SEEDS = 2**64


@dataclass(frozen=True)
class Call(Generic[Result_co]):
    """One call: a method of GatewayService, what is sent, and how a message of the answer is read."""

    method: str
    request: Message
    read: Callable[[Any], Result_co]


def text_to_image(
    prompt: str,
    *,
    seed: int | None = None,
    seeds: Sequence[int] = (),
    count: int = 1,
    candidates: int = 0,
    format: str = "png",  # noqa: A002  # the word for it
    quality: int = 0,
    embed_prompt: bool = True,
    space: str = "",
) -> Call[list[Picture]]:
    """Pictures of a text.

    Args:
        prompt: 1 to 500 characters.
        seed: of the first picture; the others' follow it. The same prompt, seed and models are the same pixels.
            Drawn by the gateway when absent.
        seeds: instead of `seed`, one a picture.
        count: pictures wanted, up to 16.
        candidates: pictures to paint and choose from: the `count` nearest to the prompt are returned, the nearest
            first, each with its similarity. 0: all that is painted is returned.
        format: `png`, `jpeg` or `webp`.
        quality: 1 to 100 for JPEG and WebP; 0 means 90.
        embed_prompt: whether the prompt is written into files and provenance.
        space: works with models of this joint space only.

    Raises:
        CallError: one of the tree in `shared/errors.py`.
    """
    fields = _painting(prompt, seed, seeds, count, candidates, format, quality, embed_prompt, space)
    with _refused_values():
        return Call("TextToImage", gateway_pb2.TextToImageRequest(**fields), answers.pictures)


def stream_text_to_image(
    prompt: str,
    *,
    seed: int | None = None,
    seeds: Sequence[int] = (),
    count: int = 1,
    candidates: int = 0,
    format: str = "png",  # noqa: A002  # as above
    quality: int = 0,
    embed_prompt: bool = True,
    space: str = "",
) -> Call[tuple[int, Picture]]:
    """The same, each picture as soon as it is ready, with its place in the list that `text_to_image` would return."""
    fields = _painting(prompt, seed, seeds, count, candidates, format, quality, embed_prompt, space)
    with _refused_values():
        request = gateway_pb2.StreamTextToImageRequest(**fields)
        return Call("StreamTextToImage", request, answers.streamed_picture)


def image_to_text(
    images: Image | Iterable[Image],
    *,
    language: str = "",
    candidates: int = 0,
    top_k: int = 0,
    heads: Sequence[str] = (),
    seed: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
) -> Call[list[Description]]:
    """Captions and labels of pictures, one description a picture.

    Args:
        images: one picture or up to 16.
        language: of captions and labels, "en" if not said.
        candidates: captions wanted a picture; 0 means 1.
        top_k: labels wanted a picture and head; 0 means 5.
        heads: of the classifier, as `capabilities` tells them, or "content": objects for a scene, else the concept.
            "content" if none is named.
        seed, temperature, top_p: where one is given, captions are drawn instead of searched for: the same seed draws
            the same ones. `temperature` 0.05 to 5, 1 if not said; `top_p`, up to 1, draws from the likeliest words
            alone that have this share of the probability. The gateway draws a seed that is not said.

    Raises:
        OSError: a file cannot be read; FileNotFoundError where there is none.
        CallError: one of the tree in `shared/errors.py`.
    """
    sent = _files(images)
    with _refused_values():
        request = gateway_pb2.ImageToTextRequest(
            images=sent,
            language=language,
            candidates=candidates,
            top_k=top_k,
            heads=_names(heads),
            sampling=_sampling(seed, temperature, top_p),
        )
        return Call("ImageToText", request, answers.descriptions)


def classify_image(
    images: Image | Iterable[Image],
    labels: Sequence[str] | None = None,
    *,
    language: str = "",
    top_k: int = 0,
    heads: Sequence[str] = (),
) -> Call[list[Classification]]:
    """What is on pictures, out of the model's classes or of labels of your own.

    Args:
        images: one picture or up to 16.
        labels: up to 256 of your own, in any language the text encoder knows; None for the model's.
        language: of the model's labels, "en" if not said.
        top_k: labels wanted a picture and head; 0 means 5, or all of `labels`.
        heads: of the model, as `capabilities` tells them, or "content": objects for a scene, else the concept.
            "concept" if none is named; none can be beside `labels`.

    Raises:
        OSError: a file cannot be read; FileNotFoundError where there is none.
        CallError: one of the tree in `shared/errors.py`.
    """
    if isinstance(labels, str):
        raise TypeError(f"labels is one text, {labels!r}; it must be a list of texts: [{labels!r}]")
    own = [_text(each, f"labels[{index}]") for index, each in enumerate(labels or ())]
    sent = _files(images)
    with _refused_values():
        request = gateway_pb2.ClassifyImageRequest(
            images=sent, labels=own, language=language, top_k=top_k, heads=_names(heads)
        )
        return Call("ClassifyImage", request, answers.classifications)


def encode_text(texts: str | Iterable[str], *, space: str = "") -> Call[list[Encoding]]:
    """Texts as points of the joint space: one text or up to 64.

    Raises:
        CallError: one of the tree in `shared/errors.py`.
    """
    sent = [_text(each, f"texts[{index}]") for index, each in enumerate(_several(texts))]
    return Call("EncodeText", gateway_pb2.EncodeTextRequest(texts=sent, space=space), answers.encodings)


def encode_image(images: Image | Iterable[Image], *, space: str = "") -> Call[list[Encoding]]:
    """Pictures as points of the joint space: one picture or up to 16.

    Raises:
        OSError: a file cannot be read; FileNotFoundError where there is none.
        CallError: one of the tree in `shared/errors.py`.
    """
    return Call("EncodeImage", gateway_pb2.EncodeImageRequest(images=_files(images), space=space), answers.encodings)


def capabilities() -> Call[Capabilities]:
    """What the gateway takes and offers: limits, formats, languages, models, and every replica behind it."""
    return Call("GetCapabilities", gateway_pb2.GetCapabilitiesRequest(), answers.capabilities)


def _painting(
    prompt: str,
    seed: int | None,
    seeds: Sequence[int],
    count: int,
    candidates: int,
    named: str,
    quality: int,
    embed_prompt: bool,
    space: str,
) -> dict[str, Any]:
    if seed is not None and seeds:
        raise _invalid("seed and seeds are two ways to say the same; give one", "seeds")
    if seed is not None:
        _check_seed(seed, "seed")
        seeds = [(seed + index) % SEEDS for index in range(candidates or count)]
    for index, each in enumerate(seeds):
        _check_seed(each, f"seeds[{index}]")
    name = _checked_type(named, "format").lower()
    found = answers.FORMATS.get({"jpg": "jpeg"}.get(name, name))
    if found is None:
        raise _invalid(f"format is {named!r}; known are {', '.join(answers.FORMATS)}", "format")
    return {
        "prompt": _text(prompt, "prompt"),
        "seeds": list(seeds),
        # Seeds alone say how many; a `count` that contradicts them is the gateway's to refuse.
        "image_count": 0 if seeds and not candidates and count == 1 else count,
        "candidates": candidates,
        "format": found,
        "quality": quality,
        "embed_prompt": embed_prompt,
        "space": space,
    }


def _names(heads: Sequence[str]) -> list[str]:
    if isinstance(heads, str):
        raise TypeError(f"heads is one name, {heads!r}; it must be a list of names: [{heads!r}]")
    return [_text(each, f"heads[{index}]") for index, each in enumerate(heads)]


def _sampling(seed: int | None, temperature: float | None, top_p: float | None) -> sampling_pb2.CaptionSampling | None:
    if seed is None and temperature is None and top_p is None:
        return None
    if seed is not None:
        _check_seed(seed, "seed")
    for name, value in (("temperature", temperature), ("top_p", top_p)):
        if value == 0:  # on the wire it says nothing, so that whoever asks for the least chance would get much
            raise _invalid(f"sampling.{name} is 0; it must be above 0", f"sampling.{name}")
    return sampling_pb2.CaptionSampling(seed=seed, temperature=temperature or 0.0, top_p=top_p or 0.0)


def _check_seed(seed: int, field: str) -> None:
    if not 0 <= seed < SEEDS:
        raise _invalid(f"{field} is {seed}; it must be 0 to {SEEDS - 1}", field)


def _text(text: str, field: str) -> str:
    """The text, if it can travel: an argument of the shell that was no UTF-8 cannot, nor one without end."""
    if len(_checked_type(text, field)) > TEXT_BYTES:
        message = f"{field} has {len(text)} characters; no gateway takes more than {TEXT_BYTES}"
        raise InvalidArgumentError(message, reason=Reason.TEXT_TOO_LONG, field=field)
    try:
        text.encode()
    except UnicodeEncodeError:
        message = f"{field} is not UTF-8"
        raise InvalidArgumentError(message, reason=Reason.MALFORMED_MESSAGE, field=field) from None
    return text


def _checked_type(text: str, field: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{field} is {text!r}; it must be a str")
    return text


def _several(texts: str | Iterable[str]) -> Iterable[str]:
    return [texts] if isinstance(texts, str) else texts


def _files(images: Image | Iterable[Image]) -> list[bytes]:
    if isinstance(images, (str, bytes, bytearray, memoryview, PathLike, Picture)) or not isinstance(images, Iterable):
        return [_file(images, "images[0]")]
    return [_file(each, f"images[{index}]") for index, each in enumerate(images)]


def _file(image: Image, field: str) -> bytes:
    if isinstance(image, Picture):
        return image.data
    if isinstance(image, (bytes, bytearray, memoryview)):
        return checked_size(image, field)
    if isinstance(image, (str, PathLike)):
        return read_picture(image, field)
    # A number would be opened as a descriptor of this process, read, and closed.
    raise TypeError(f"{field} is {image!r}; it must be a path, the bytes of a file, or a Picture")


@contextmanager
def _refused_values() -> Iterator[None]:
    """Numbers that protobuf cannot hold are a wrong argument like any other."""
    try:
        yield
    except ValueError as error:
        raise _invalid(str(error), "") from None


def _invalid(message: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field=field)
