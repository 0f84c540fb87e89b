"""W3C trace context: which trace a call is part of, as callers hand it on; needs no tracing library.

https://www.w3.org/TR/trace-context/: what cannot be read is as if it had not come, and nobody's error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_STATE_CHARACTERS = 512
"""That is what everybody must be able to pass on; a longer `tracestate` is left out."""
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 0x01


@dataclass(frozen=True, kw_only=True, slots=True)
class TraceContext:
    """A place in a trace: that of the caller, or of the span under which a call goes on."""

    trace_id: str
    """32 hexadecimal digits in lower case, not all 0."""
    span_id: str
    """16 of them."""
    flags: str = "00"
    """Two of them; the last bit says that the caller records this trace."""
    state: str = ""
    """What tracing systems add, as it came."""

    @property
    def sampled(self) -> bool:
        """Whether the caller records this trace."""
        return bool(int(self.flags, 16) & _SAMPLED)

    @property
    def parent(self) -> str:
        """As `traceparent` has it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def read_trace(parent: str, state: str = "") -> TraceContext | None:
    """The trace that `traceparent` and `tracestate` name; None if it names none."""
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    if len(state) > MAX_STATE_CHARACTERS or not (state.isascii() and state.isprintable()):
        state = ""
    return TraceContext(trace_id=trace_id, span_id=span_id, flags=flags, state=state)
