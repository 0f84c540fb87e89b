"""What a call carries besides its message: id, caller, priority and deadline, ambient for the code below it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc import metadata

MAX_VALUE_CHARACTERS = 128
PRIORITIES = ("interactive", "batch")
_KEYS = frozenset({metadata.REQUEST_ID, metadata.CALLER, metadata.PRIORITY})


def _new_id() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """One call, as the server that handles it sees it."""

    request_id: str = field(default_factory=_new_id)
    caller: str = ""
    priority: str = PRIORITIES[0]
    deadline: float | None = None
    """When the caller gives up, on the clock of the running event loop, in seconds; None is never."""


_current: ContextVar[CallContext] = ContextVar("diptych_call")


def current_call() -> CallContext:
    """The call being handled; a fresh one outside of any."""
    return _current.get(None) or CallContext()


def current_request_id() -> str:
    """The id of the call being handled; empty outside of any."""
    call = _current.get(None)
    return call.request_id if call else ""


def enter_call(call: CallContext) -> None:
    """Makes `call` the current one for this task and what it starts."""
    _current.set(call)


def remaining_seconds(margin: float = 0.0) -> float | None:
    """Seconds until the current call's deadline less `margin`, at least 0; None without a deadline."""
    deadline = current_call().deadline
    if deadline is None:
        return None
    return max(0.0, deadline - asyncio.get_running_loop().time() - margin)


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """The current call's id, caller and priority, to pass on downstream."""
    call = current_call()
    entries = [(metadata.REQUEST_ID, call.request_id), (metadata.PRIORITY, call.priority)]
    if call.caller:
        entries.append((metadata.CALLER, call.caller))
    return tuple(entries)


def requested_id(entries: Iterable[tuple[str, str | bytes]]) -> str:
    """The id that an arriving call brings; a new one when it brings none, or none that `read_call` accepts."""
    requested = _first(entries).get(metadata.REQUEST_ID, "")
    return requested if requested and not _fault(requested) else _new_id()


def read_call(entries: Iterable[tuple[str, str | bytes]], time_remaining: float | None) -> CallContext:
    """The context of an arriving call, whose id may be that of the context entered before.

    Args:
        entries: its invocation metadata; of a key that stands several times the first counts.
        time_remaining: seconds until its deadline, None without one.

    Raises:
        InvalidArgumentError: a value is too long, has other characters than HTTP/2 takes, or is no priority we know.
    """
    values = _first(entries)
    for key, value in values.items():
        if fault := _fault(value):
            raise InvalidArgumentError(f"metadata {key} {fault}", reason=Reason.METADATA_INVALID, field=key)
    priority = values.get(metadata.PRIORITY, PRIORITIES[0])
    if priority not in PRIORITIES:
        raise InvalidArgumentError(
            f"metadata {metadata.PRIORITY} is {priority!r}; known are {', '.join(PRIORITIES)}",
            reason=Reason.METADATA_INVALID,
            field=metadata.PRIORITY,
        )
    return CallContext(
        request_id=values.get(metadata.REQUEST_ID) or current_request_id(),
        caller=values.get(metadata.CALLER, ""),
        priority=priority,
        deadline=None if time_remaining is None else asyncio.get_running_loop().time() + time_remaining,
    )


def _first(entries: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The values of our keys."""
    values: dict[str, str] = {}
    for key, value in entries:
        if key in _KEYS and isinstance(value, str):
            values.setdefault(key, value)
    return values


def _fault(value: str) -> str:
    """What is wrong with a value; it is passed on as metadata, which over gRPC is printable ASCII."""
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"has {len(value)} characters; the limit is {MAX_VALUE_CHARACTERS}"
    if not (value.isascii() and value.isprintable()):
        return f"is {value!a}; its characters must be printable ASCII"
    return ""
