"""`diptych text-to-image` and `diptych image-to-text`: files in and out of one gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from diptych.gateway.v1 import gateway_pb2
from gateway.console import ExitCode
from gateway.remote import connect
from shared.errors import ConfigurationError

IMAGES_A_CALL = 16
"""The gateway's default limit."""
BYTES_A_CALL = 48 * 1024 * 1024
"""Well below the largest message that a gateway takes by default."""
NAME_CHARACTERS = 40


async def text_to_image(
    prompts: Sequence[str], number: int, seed: int | None, output: Path, address: str, timeout_seconds: float
) -> ExitCode:
    """Paints `number` pictures a prompt and prints the name of each file.

    Raises:
        ConfigurationError: `output` cannot be written, or is one file for several pictures.
        CallError: what the gateway answered.
    """
    single = output.suffix.lower() == ".png"
    if single and len(prompts) * number > 1:
        raise ConfigurationError(f"{output} is one file for {len(prompts) * number} pictures; name a folder")
    seeds = [] if seed is None else [(seed + index) % 2**64 for index in range(number)]
    written: set[Path] = set()
    async with connect(address, timeout_seconds=timeout_seconds) as gateway:
        for prompt in prompts:
            with Console(stderr=True).status(Text(f"painting {prompt}")):
                answer = await gateway.text_to_image(prompt, seeds=seeds, image_count=0 if seeds else number)
            for painted in answer.images:
                path = output if single else _unused(output / file_name(prompt, painted.seed), written)
                write_picture(path, painted.image.data)
                typer.echo(f"{path}  seed {painted.seed}")
    return ExitCode.OK


async def image_to_text(
    files: Sequence[Path], language: str, labels: int, address: str, timeout_seconds: float
) -> ExitCode:
    """Prints a line a file: its caption and its labels.

    Raises:
        CallError: what the gateway answered.
    """
    async with connect(address, timeout_seconds=timeout_seconds) as gateway:
        for part in _parts(files):
            with Console(stderr=True).status(f"describing {len(part)} of {len(files)} pictures"):
                images = [path.read_bytes() for path in part]
                answer = await gateway.image_to_text(images, language=language, top_k=labels)
            for path, description in zip(part, answer.descriptions, strict=True):
                typer.echo(f"{path}: {told_captions(description)} ({told_labels(description)})")
    return ExitCode.OK


def _parts(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Files in order, as many together as one call takes."""
    part: list[Path] = []
    size = 0
    for path in files:
        more = path.stat().st_size
        if part and (len(part) == IMAGES_A_CALL or size + more > BYTES_A_CALL):
            yield part
            part, size = [], 0
        part.append(path)
        size += more
    yield part


def file_name(prompt: str, seed: int) -> str:
    """`a-black-cat-7.png` for "A black cat!" and seed 7; letters of every language stay."""
    words = "".join(char.lower() if char.isalnum() else " " for char in prompt).split()
    return f"{'-'.join(words)[:NAME_CHARACTERS] or 'picture'}-{seed}.png"


def _unused(path: Path, written: set[Path]) -> Path:
    """The path, numbered if this run has written it: prompts may differ only in what a file name leaves out."""
    free, number = path, 1
    while free in written:
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    written.add(free)
    return free


def make_folder(path: Path) -> Path:
    """The folder, made with those above it if need be.

    Raises:
        ConfigurationError: the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make folder {path}: {error.strerror}") from None
    return path


def write_picture(path: Path, data: bytes) -> None:
    """Writes a file, and the folder around it.

    Raises:
        ConfigurationError: the file system refuses.
    """
    make_folder(path.parent)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def told_captions(description: gateway_pb2.ImageDescription) -> str:
    """The captions as one line."""
    return " / ".join(caption.text for caption in description.captions)


def told_labels(description: gateway_pb2.ImageDescription) -> str:
    """`black cat 93 %, dog 4 %`."""
    return ", ".join(f"{label.text} {label.probability:.0%}" for label in description.labels)
