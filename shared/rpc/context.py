"""What a call carries besides its message: id, caller, priority, deadline and trace, ambient for the code below it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc import metadata
from shared.trace_context import TraceContext, read_trace

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where traces are wanted
    from shared.tracing import Span

MAX_VALUE_CHARACTERS = 128
PRIORITIES = ("interactive", "batch")
_CHECKED = (metadata.REQUEST_ID, metadata.CALLER, metadata.PRIORITY)
_KEYS = frozenset({*_CHECKED, metadata.TRACE_PARENT, metadata.TRACE_STATE})


@dataclass(kw_only=True, slots=True)
class CallFacts:
    """What is learnt of a call while it is handled, for its line in the log and its trace."""

    items: int = 0
    """Texts, pictures or encodings that it asks about or for; 0 as long as that is not known."""
    queue_seconds: float | None = None
    inference_seconds: float | None = None


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
    trace: TraceContext | None = None
    """The trace that it is part of, and its place there, to pass on; None if it is part of none."""
    span: Span | None = None
    """What its trace tells of it; None where nothing is recorded."""
    facts: CallFacts | None = None
    """None where nobody wants to know."""


_current: ContextVar[CallContext] = ContextVar("diptych_call")


def current_call() -> CallContext:
    """The call being handled; a fresh one outside of any."""
    return _current.get(None) or CallContext()


def current_request_id() -> str:
    """The id of the call being handled; empty outside of any."""
    call = _current.get(None)
    return call.request_id if call else ""


def current_trace() -> TraceContext | None:
    """The trace of the call being handled; None outside of any, and where it is part of none."""
    call = _current.get(None)
    return call.trace if call else None


def enter_call(call: CallContext) -> None:
    """Makes `call` the current one for this task and what it starts."""
    _current.set(call)


def note_items(count: int) -> None:
    """Tells how many items the current call is about."""
    if (facts := current_call().facts) is not None:
        facts.items = count


def remaining_seconds(margin: float = 0.0) -> float | None:
    """Seconds until the current call's deadline less `margin`, at least 0; None without a deadline."""
    deadline = current_call().deadline
    if deadline is None:
        return None
    return max(0.0, deadline - asyncio.get_running_loop().time() - margin)


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """The current call's id, caller, priority and trace, to pass on downstream."""
    call = current_call()
    entries = [(metadata.REQUEST_ID, call.request_id), (metadata.PRIORITY, call.priority)]
    if call.caller:
        entries.append((metadata.CALLER, call.caller))
    if call.trace is not None:
        entries.append((metadata.TRACE_PARENT, call.trace.parent))
        if call.trace.state:
            entries.append((metadata.TRACE_STATE, call.trace.state))
    return tuple(entries)


def our_values(entries: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The values of our keys in a call's metadata; of a key that stands several times the first counts."""
    values: dict[str, str] = {}
    for key, value in entries:
        if key in _KEYS and isinstance(value, str):
            if key == metadata.TRACE_STATE and key in values:
                values[key] += f",{value}"  # a list, which may come in parts
            values.setdefault(key, value)
    return values


def arriving_call(values: Mapping[str, str], facts: CallFacts | None = None) -> CallContext:
    """A call as known before it is read: by what it cannot be refused for.

    Its id is the one that it brings, or a new one when it brings none, or none that `read_call` accepts.
    """
    requested = values.get(metadata.REQUEST_ID, "")
    request_id = requested if requested and not _fault(requested) else _new_id()
    parent = values.get(metadata.TRACE_PARENT)
    trace = None if parent is None else read_trace(parent, values.get(metadata.TRACE_STATE, ""))
    return CallContext(request_id=request_id, trace=trace, facts=facts)


def read_call(arrived: CallContext, values: Mapping[str, str], time_remaining: float | None) -> CallContext:
    """The context of an arriving call.

    Args:
        arrived: what is known of it so far.
        values: of our keys in its metadata.
        time_remaining: seconds until its deadline, None without one.

    Raises:
        InvalidArgumentError: a value is too long, has other characters than HTTP/2 takes, or is no priority we know.
    """
    for key in _CHECKED:
        if (value := values.get(key)) and (fault := _fault(value)):
            raise InvalidArgumentError(f"metadata {key} {fault}", reason=Reason.METADATA_INVALID, field=key)
    priority = values.get(metadata.PRIORITY, PRIORITIES[0])
    if priority not in PRIORITIES:
        raise InvalidArgumentError(
            f"metadata {metadata.PRIORITY} is {priority!r}; known are {', '.join(PRIORITIES)}",
            reason=Reason.METADATA_INVALID,
            field=metadata.PRIORITY,
        )
    return CallContext(
        request_id=arrived.request_id,
        caller=values.get(metadata.CALLER, ""),
        priority=priority,
        deadline=None if time_remaining is None else asyncio.get_running_loop().time() + time_remaining,
        trace=arrived.trace,
        span=arrived.span,
        facts=arrived.facts,
    )


def _fault(value: str) -> str:
    """What is wrong with a value; it is passed on as metadata, which over gRPC is printable ASCII."""
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"has {len(value)} characters; the limit is {MAX_VALUE_CHARACTERS}"
    if not (value.isascii() and value.isprintable()):
        return f"is {value!a}; its characters must be printable ASCII"
    return ""
