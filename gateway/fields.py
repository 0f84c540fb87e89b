"""Whose field an error is about: model services name fields of their requests, callers know only those of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shared.codes import Reason
from shared.errors import InternalError, InvalidArgumentError


@contextmanager
def renamed_fields(names: Mapping[str, str], *, offset: int = 0) -> Iterator[None]:
    """Lets an InvalidArgumentError name the caller's fields: `{"encodings": "images"}` is for `encodings[3]` too.

    Args:
        names: ours by theirs.
        offset: place of their first item among ours.
    """
    try:
        yield
    except InvalidArgumentError as error:
        for theirs, ours in names.items():
            if error.field == theirs or error.field.startswith((f"{theirs}[", f"{theirs}.")):
                rest = error.field.removeprefix(theirs)
                field = ours + re.sub(r"^\[(\d+)\]", lambda found: f"[{int(found[1]) + offset}]", rest)
                message = str(error)
                if message.startswith(error.field):  # elsewhere the same letters may be the caller's own words
                    message = field + message.removeprefix(error.field)
                raise InvalidArgumentError(message, reason=error.reason, field=field) from None
        raise


@contextmanager
def not_the_callers(service: str) -> Iterator[None]:
    """Turns a refusal of what a model made, which no caller could mend, into an InternalError."""
    try:
        yield
    except InvalidArgumentError as error:
        raise InternalError(f"{service}: {error}", reason=Reason.DEFECT) from error
