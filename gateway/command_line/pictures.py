"""Files of painted pictures, and what is said about pictures on the screen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.client.files import write_whole
from gateway.client.results import Caption, Label, Stage
from gateway.command_line.contact_sheet import contact_sheet
from gateway.png import decode_png, encode_png
from shared.codes import Reason
from shared.errors import ConfigurationError, InternalError

ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
"""Of a picture's file, by format."""
NAME_CHARACTERS = 40
READ_CHARACTERS = 1000
"""Of a prompt, for its name."""
SHEET = "contact-sheet.png"
"""All pictures of a folder on one; `image-to-text FOLDER` leaves it out."""


def words_of(prompt: str) -> str:
    """`a-black-cat` for "A black cat!", for the name of a file; letters of every language stay."""
    words = "".join(char.lower() if char.isalnum() else " " for char in prompt[:READ_CHARACTERS]).split()
    return "-".join(words)[:NAME_CHARACTERS] or "picture"


def file_name(prompt: str, seed: int) -> str:
    """`a-black-cat-7.png` for "A black cat!" and seed 7."""
    return f"{words_of(prompt)}-{seed}.png"


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


@contextmanager
def made_folder(path: Path) -> Iterator[Path]:
    """The folder, made as above; those that are new go again where nothing was put into them.

    Raises:
        ConfigurationError: the file system refuses.
    """
    new = [each for each in (path, *path.parents) if not each.exists()]
    make_folder(path)
    try:
        yield path
    finally:
        for each in new:
            with suppress(OSError):
                each.rmdir()


def write_picture(path: Path, data: bytes) -> None:
    """Writes a file, and the folder around it.

    Raises:
        ConfigurationError: the file system refuses.
    """
    make_folder(path.parent)
    try:
        write_whole(path, data)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def write_sheet(rows: Sequence[Sequence[Path]], path: Path) -> None:
    """Writes one PNG of all these PNG files.

    Raises:
        ConfigurationError: the file system refuses.
        InternalError: a picture that was painted cannot be read.
    """
    try:
        sheet = contact_sheet([[decode_png(each.read_bytes()) for each in row] for row in rows if row])
    except OSError as error:
        raise ConfigurationError(f"cannot read {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise InternalError(f"a painted picture cannot be read: {error}", reason=Reason.DEFECT) from error
    write_picture(path, encode_png(sheet))


def told_captions(captions: Sequence[Caption]) -> str:
    """The captions as one line."""
    return " / ".join(caption.text for caption in captions)


def told_labels(labels: Sequence[Label]) -> str:
    """`black cat 93%, dog 4%`."""
    return ", ".join(f"{label.text} {label.probability:.0%}" for label in labels)


def told_heads(heads: Mapping[str, Sequence[Label]]) -> str:
    """`objects: cat 99%, tulip 97%; background: meadow 98%`."""
    return "; ".join(f"{head}: {told_labels(labels)}" for head, labels in heads.items())


def models_entry(stages: Sequence[Stage]) -> dict[str, dict[str, str]]:
    """The models behind an answer by service, for a line of JSON."""
    return {
        stage.method.split(".")[1]: {
            "name": stage.model.name,
            "version": stage.model.version,
            "digest": stage.model.digest,
            "space": stage.model.space,
        }
        for stage in stages
    }
