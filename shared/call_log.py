"""The line that a call leaves in the log when it ends: by whom, what came of it, and where its time went.

It says nothing of what was asked and answered: no prompt, no picture, no label, and no error's message, which may quote
one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from shared.codes import Reason
from shared.rpc.context import current_call

CallLog = Literal["all", "faults", "none"]
"""Which calls leave a line: all, those that ended by a fault of the server (`codes.FAULTS`), or none."""

_log = logging.getLogger("diptych.call")


class CallLine:
    """What is said of a call besides its ids, which every line has that is written during one.

    Args:
        fields: what is known of it, by name.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: Mapping[str, str | int | float]) -> None:
        self.fields = fields

    def __str__(self) -> str:
        """For a person. Who called may have written anything into its name but a line's end."""
        found = {**self.fields}
        line = f"{found.pop('method')} {found.pop('code')} in {found.pop('seconds'):.6f} s"
        if "caller" in found:
            found["caller"] = repr(found["caller"])
        return " ".join((line, *(f"{name}={value}" for name, value in found.items())))


def log_call(method: str, code: str, reason: Reason | None, seconds: float) -> None:
    """Writes the line of the current call, which has ended; `code` is the name of one, or OK."""
    if not _log.isEnabledFor(logging.INFO):
        return
    call = current_call()
    fields: dict[str, str | int | float] = {
        "method": method,
        "code": code,
        "seconds": round(seconds, 6),
    }
    if reason is not None:
        fields["reason"] = reason.name
    if (facts := call.facts) is not None:
        if facts.items:
            fields["items"] = facts.items
        if facts.queue_seconds is not None:
            fields["queue_seconds"] = round(facts.queue_seconds, 6)
        if facts.inference_seconds is not None:
            fields["inference_seconds"] = round(facts.inference_seconds, 6)
    fields["priority"] = call.priority
    if call.caller:
        fields["caller"] = call.caller
    _log.info(CallLine(fields))
