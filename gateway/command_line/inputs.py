"""What a command works on: picture files by name, folder, glob or standard input, and texts by argument or file."""

from __future__ import annotations

import errno
import glob
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gateway.client.files import checked_size, read_picture
from gateway.command_line.pictures import SHEET
from shared.errors import ConfigurationError

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
"""Which files of a folder are pictures; a file that is named itself may be called as it likes."""
STANDARD_INPUT = "-"
LIST_BYTES = 64 * 1024 * 1024
"""The longest list of prompts, texts or names: what is endless ends here."""
FIELD = "images[0]"
"""Of a picture by itself, in errors."""


@dataclass(frozen=True, kw_only=True)
class PictureInput:
    """A picture file, or what came by standard input."""

    name: str
    data: bytes | None = field(default=None, repr=False)
    problem: str = ""
    """Why there is no such picture."""

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            OSError: the file cannot be read.
            InvalidArgumentError: it is larger than any gateway takes.
        """
        if self.problem:
            raise FileNotFoundError(errno.ENOENT, self.problem)
        return read_picture(self.name, FIELD) if self.data is None else checked_size(self.data, FIELD)

    def size(self) -> int:
        """Bytes; 0 where nobody knows before reading."""
        if self.data is not None:
            return len(self.data)
        try:
            return Path(self.name).stat().st_size
        except OSError:
            return 0

    def entry(self) -> dict[str, str]:
        """What names it in a list."""
        return {"file": self.name}


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """A text, and its place: the same one may come twice."""

    text: str
    place: int

    def entry(self) -> dict[str, str]:
        """What names it in a list."""
        return {"text": self.text}


def picture_inputs(
    arguments: Sequence[str], standard_input: BinaryIO, suffixes: Container[str] = PICTURE_SUFFIXES
) -> list[PictureInput]:
    """The pictures behind arguments, in their order, each once: a folder stands for its pictures, and for those of
    the folders in it, sorted; a glob for what it matches, sorted; `-` for standard input.

    Args:
        arguments: of several, one that stands for nothing is an input that cannot be read, and stops no other.
        standard_input: read for `-`.
        suffixes: of a folder's pictures.

    Raises:
        ConfigurationError: the only argument stands for nothing.
    """
    found: dict[str, PictureInput] = {}
    for argument in dict.fromkeys(arguments):
        try:
            if argument == STANDARD_INPUT:
                several = _from_standard_input(_bounded(standard_input, "standard input"))
            else:
                several = [PictureInput(name=name) for name in _found(argument, suffixes)]
        except ConfigurationError as error:
            if len(set(arguments)) == 1:
                raise
            several = [PictureInput(name=argument, problem=str(error).removeprefix(f"{argument}: "))]
        for each in several:
            found.setdefault(each.name, each)
    return list(found.values())


def text_inputs(arguments: Sequence[str], file: str | None, standard_input: BinaryIO, *, noun: str) -> list[str]:
    """Texts from arguments and from a file with one a line; `-` is standard input for both. Blank lines do not count.

    Raises:
        ConfigurationError: the file cannot be read, or there is no text at all.
    """
    texts: list[str] = []
    for argument in arguments:
        texts += _lines(standard_input, "standard input") if argument == STANDARD_INPUT else [argument]
    if file == STANDARD_INPUT:
        texts += _lines(standard_input, "standard input")
    elif file is not None:
        try:
            with Path(file).open("rb") as opened:
                texts += _lines(opened, file)
        except OSError as error:
            raise ConfigurationError(f"cannot read {file}: {error.strerror}") from None
    if not texts and (file is not None or STANDARD_INPUT in arguments):
        raise ConfigurationError(f"no {noun} in {'standard input' if file in (None, STANDARD_INPUT) else file}")
    return texts


def _bounded(file: BinaryIO, name: str) -> bytes:
    data = file.read(LIST_BYTES + 1)
    if len(data) > LIST_BYTES:
        raise ConfigurationError(f"{name} has more than {LIST_BYTES} bytes; split it")
    return data


def _lines(file: BinaryIO, name: str) -> list[str]:
    data = _bounded(file, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}, line {line}: not UTF-8; save the file as UTF-8") from None
    return [line.strip() for line in text.split("\n") if line.strip()]


def _from_standard_input(data: bytes) -> list[PictureInput]:
    """File names, one a line, where it is text; else it is one picture."""
    if not data.strip():
        raise ConfigurationError("standard input is empty: send file names, one a line, or one picture")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        return [PictureInput(name=STANDARD_INPUT, data=data)]
    return [PictureInput(name=name) for line in text.split("\n") if (name := line.rstrip("\r")).strip()]


def _found(argument: str, suffixes: Container[str]) -> list[str]:
    try:
        return list(_names(argument, suffixes))
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise ConfigurationError(f"{argument}: {error.strerror}") from None


def _names(argument: str, suffixes: Container[str]) -> Iterator[str]:
    path = Path(argument)
    if path.is_dir():
        found = _pictures_of(path, suffixes)
        if not found:
            told = ", ".join(sorted(each for each in PICTURE_SUFFIXES if each in suffixes))
            raise ConfigurationError(f"{argument}: the folder has no pictures; they end with {told}")
        yield from found
    elif path.exists():
        yield argument
    else:
        # A shell without matches, or a quoted glob: it comes as it was typed.
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            what = "matches no file" if glob.has_magic(argument) else "no such file or folder"
            raise ConfigurationError(f"{argument}: {what}")
        for match in matches:
            yield from _pictures_of(Path(match), suffixes) if Path(match).is_dir() else [match]


def _pictures_of(folder: Path, suffixes: Container[str]) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in suffixes and _is_wanted(path))


def _is_wanted(path: Path) -> bool:
    """Not what a system hides beside a picture, nor the sheet of all pictures, which is none of them."""
    return not path.name.startswith(".") and path.name != SHEET and path.is_file()
