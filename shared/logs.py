"""Log lines on standard error, as text for a person or JSON for a collector, each with the id of its call."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from shared.call_log import CallLine
from shared.rpc.context import current_request_id, current_trace


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request_id = current_request_id()
        line = super().format(record)
        return f"{line} [{request_id}]" if request_id else line


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": "call" if isinstance(record.msg, CallLine) else record.getMessage(),
        }
        if request_id := current_request_id():
            entry["request_id"] = request_id
        if (trace := current_trace()) is not None:
            entry["trace_id"] = trace.trace_id
        if isinstance(record.msg, CallLine):
            entry |= record.msg.fields
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logs(level: str, style: Literal["text", "json"]) -> None:
    """Sets up the root logger of a server process; called once, by its `__main__`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if style == "json" else _TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
