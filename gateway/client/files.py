"""Picture files, read as far as a gateway takes them: an endless or huge one costs neither time nor memory."""

from __future__ import annotations

import os
from os import PathLike
from stat import S_ISREG

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


def checked_size(data: bytes, field: str) -> bytes:
    """The bytes themselves.

    Raises:
        InvalidArgumentError: they are more than any gateway takes.
    """
    if len(data) > IMAGE_BYTES:
        raise _too_large(field, f"{len(data)}" if len(data) > IMAGE_BYTES + 1 else f"more than {IMAGE_BYTES}")
    return data


def _too_large(field: str, told: str) -> InvalidArgumentError:
    message = f"{field} has {told} bytes; the limit is {IMAGE_BYTES}"
    return InvalidArgumentError(message, reason=Reason.IMAGE_TOO_LARGE, field=field)
