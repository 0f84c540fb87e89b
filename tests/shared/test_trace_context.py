"""What a caller's `traceparent` and `tracestate` are read as, by the rules and examples of the W3C."""

from __future__ import annotations

import pytest

from shared.trace_context import read_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_parent_is_read_and_written_alike() -> None:
    trace = read_trace(PARENT, "congo=t61rcWkgMzE")
    assert trace is not None
    assert (trace.trace_id, trace.span_id, trace.sampled, trace.state) == (TRACE, SPAN, True, "congo=t61rcWkgMzE")
    assert trace.parent == PARENT


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_last_bit_of_the_flags_says_whether_the_caller_records(flags: str, sampled: bool) -> None:
    trace = read_trace(f"00-{TRACE}-{SPAN}-{flags}")
    assert trace is not None
    assert (trace.sampled, trace.flags) == (sampled, flags)


def test_a_later_version_is_read_as_far_as_this_one_goes() -> None:
    trace = read_trace(f"cc-{TRACE}-{SPAN}-01-what.the-future.will-be-like")
    assert trace is not None
    assert trace.parent == PARENT


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "a trace",
        PARENT.upper(),
        f"{PARENT}-more",
        f"{PARENT}\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{'１' * 32}-{SPAN}-01",
    ],
)
def test_what_is_no_parent_is_as_if_it_had_not_come(parent: str) -> None:
    assert read_trace(parent) is None


@pytest.mark.parametrize("state", ["x" * 513, "a=é", "a=1\n"])
def test_a_state_that_cannot_be_passed_on_is_left_out(state: str) -> None:
    trace = read_trace(PARENT, state)
    assert trace is not None
    assert (trace.parent, trace.state) == (PARENT, "")
