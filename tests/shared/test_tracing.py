"""Spans on their way to a receiver: with what all spans of a process have in common."""

from __future__ import annotations

import logging
import time

import pytest

from shared.trace_context import TraceContext
from shared.tracing import Tracer
from tests.otlp_receiver import Received, receiving


def tracer(endpoint: str) -> Tracer:
    """One that records all it is told."""
    return Tracer(endpoint, sample_ratio=1.0, resource={"service.name": "diptych-test"})


async def sent(endpoint: str) -> None:
    """A span with one below it, both closed and sent."""
    one = tracer(endpoint)
    begin = time.monotonic()
    above = one.start("above", "server", parent=None, attributes={"a": 1})
    above.child("below", begin=begin, attributes={"b": "x"}).end(at=begin + 1.5)
    above.end(error="WORD")
    await one.close()


def by_name(spans: list[Received]) -> dict[str, Received]:
    return {span.name: span for span in spans}


@pytest.mark.parametrize("scheme", ["", "http://"])
async def test_spans_arrive_in_plain_text_before_the_stop_is_over(scheme: str) -> None:
    with receiving() as receiver:
        await sent(f"{scheme}{receiver.endpoint}")
        found = by_name(receiver.spans)
    above, below = found["above"], found["below"]
    assert (above.kind, above.parent, above.error, above.attributes) == ("SERVER", "", "WORD", {"a": 1})
    assert (below.kind, below.parent, below.trace, below.error) == ("INTERNAL", above.span, above.trace, None)
    assert below.end - below.begin == pytest.approx(1.5e9, abs=5e6)
    assert {each.service for each in found.values()} == {"diptych-test"}


async def test_state_that_cannot_be_read_is_not_quoted_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """It is a stranger's: whoever calls may send any."""
    with receiving() as receiver, caplog.at_level(logging.INFO):
        one = tracer(receiver.endpoint)
        parent = TraceContext(trace_id="1" * 32, span_id="2" * 16, flags="01", state="words of a stranger")
        one.start("above", "server", parent=parent, attributes={}).end()
        await one.close()
        assert [span.name for span in receiver.spans] == ["above"]
    assert not [record for record in caplog.records if "stranger" in record.getMessage()]
