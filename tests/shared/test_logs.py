"""What a log line says."""

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Iterator

import pytest

from shared.logs import configure_logs
from shared.rpc.context import CallContext, enter_call


@pytest.fixture(autouse=True)
def _restore_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def log_in_call(request_id: str) -> None:
    enter_call(CallContext(request_id=request_id))
    try:
        raise ValueError("一")
    except ValueError:
        logging.getLogger("a.b").exception("it broke")


def test_json_lines_carry_the_calls_id_and_the_exception(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    contextvars.copy_context().run(log_in_call, "r7")
    entry = json.loads(capsys.readouterr().err)
    assert entry["request_id"] == "r7"
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "a.b", "it broke")
    assert "ValueError: 一" in entry["exception"]


def test_text_lines_outside_of_a_call_have_no_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "text")
    logging.getLogger("a.b").info("not severe enough")
    logging.getLogger("a.b").warning("look")
    line = capsys.readouterr().err.strip()
    assert line.endswith("WARNING a.b: look")
