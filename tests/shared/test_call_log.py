"""The line that a call leaves in the log."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.call_log import CallLog
from shared.codes import Reason
from shared.errors import InternalError, InvalidArgumentError
from shared.logs import configure_logs
from shared.metrics import RpcMetrics
from shared.rpc import metadata
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.context import current_call, note_items
from shared.rpc.handling import CallHandling

METHOD = "diptych.text.v1.TextEncodingService/EncodeText"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ENTRIES = [
    (metadata.REQUEST_ID, "r1"),
    (metadata.CALLER, "shop 7"),
    (metadata.PRIORITY, "batch"),
    (metadata.TRACE_PARENT, f"00-{TRACE}-00f067aa0ba902b7-00"),
    ("authorization", "Bearer swordfish"),
]


@pytest.fixture(autouse=True)
def _restore_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


async def end_call(which: CallLog, error: Exception | None = None) -> None:
    """One call of three items, whose model has answered, and which then ends so."""
    handling = CallHandling(CallsInFlight(), RpcMetrics(CollectorRegistry()), call_log=which)

    async def call() -> None:
        async with handling.handle(METHOD, ENTRIES, 5.0):
            note_items(3)
            if (facts := current_call().facts) is not None:
                facts.queue_seconds, facts.inference_seconds = 0.25, 0.5
            if error is not None:
                raise error

    await asyncio.gather(asyncio.create_task(call()), return_exceptions=True)


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was written, in JSON."""
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


async def test_a_json_line_says_who_called_what_came_of_it_and_where_its_time_went(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs("info", "json")
    await end_call("all")
    [line] = lines(capsys)
    assert 0 <= line.pop("seconds") < 60
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "diptych.call",
        "message": "call",
        "request_id": "r1",
        "trace_id": TRACE,
        "method": METHOD,
        "code": "OK",
        "items": 3,
        "queue_seconds": 0.25,
        "inference_seconds": 0.5,
        "priority": "batch",
        "caller": "shop 7",
    }


async def test_a_failure_has_its_code_and_reason_and_nothing_of_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    await end_call("all", InvalidArgumentError("texts[0] is 'wild strawberries'", reason=Reason.TEXT_TOO_LONG))
    [line] = lines(capsys)
    assert (line["code"], line["reason"]) == ("INVALID_ARGUMENT", "TEXT_TOO_LONG")
    assert "strawberries" not in str(line) and "swordfish" not in str(line)


async def test_a_text_line_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "text")
    await end_call("all")
    line = capsys.readouterr().err.strip()
    assert f"INFO diptych.call: {METHOD} OK in 0." in line
    assert line.endswith(" s items=3 queue_seconds=0.25 inference_seconds=0.5 priority=batch caller='shop 7' [r1]")


@pytest.mark.parametrize(
    ("which", "error", "expected"),
    [
        ("all", None, ["OK"]),
        ("faults", None, []),
        ("faults", InvalidArgumentError("no"), []),
        ("faults", InternalError("we broke"), ["INTERNAL"]),
        ("faults", ZeroDivisionError(), ["INTERNAL"]),
        ("none", InternalError("we broke"), []),
    ],
)
async def test_the_setting_says_which_calls_leave_a_line(
    which: CallLog, error: Exception | None, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", "json")
    await end_call(which, error)
    assert [line["code"] for line in lines(capsys) if line["logger"] == "diptych.call"] == expected
