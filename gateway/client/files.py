"""Picture files, read as far as a gateway takes them, for one may be endless; and written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from os import PathLike
from pathlib import Path
from stat import S_IMODE, S_ISREG

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.limits import IMAGE_BYTES


def read_picture(path: str | PathLike[str], field: str) -> bytes:
    """The bytes of a picture file; of a pipe or a device, too.

    Args:
        path: where.
        field: of the request, for errors.

    Raises:
        OSError: it cannot be read.
        InvalidArgumentError: it is larger than any gateway takes.
    """
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        if S_ISREG(found.st_mode) and found.st_size > IMAGE_BYTES:
            raise _too_large(field, f"{found.st_size}")
        return checked_size(file.read(IMAGE_BYTES + 1), field)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, or leaves what was there as it was: a full disk costs nobody the picture that he had.

    A link's target is written; so is a pipe or a device, which has no old content to keep.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(os.path.realpath(path))
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not S_ISREG(mode):
        path.write_bytes(data)
        return
    beside = path.with_name(f".diptych-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
        if mode is not None:
            beside.chmod(S_IMODE(mode))
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def checked_size(data: bytes | bytearray | memoryview, field: str) -> bytes:
    """The bytes themselves.

    Raises:
        InvalidArgumentError: they are more than any gateway takes.
    """
    size = memoryview(data).nbytes
    if size > IMAGE_BYTES:
        raise _too_large(field, f"{size}" if size > IMAGE_BYTES + 1 else f"more than {IMAGE_BYTES}")
    return bytes(data)


def _too_large(field: str, told: str) -> InvalidArgumentError:
    message = f"{field} has {told} bytes; the limit is {IMAGE_BYTES}"
    return InvalidArgumentError(message, reason=Reason.IMAGE_TOO_LARGE, field=field)
