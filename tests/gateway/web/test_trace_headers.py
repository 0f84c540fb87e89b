"""The trace context of a page's calls comes in HTTP headers, and reaches the services as that of any call does."""

from __future__ import annotations

import pytest

from shared.trace_context import TraceContext
from tests.gateway.web.playground import Playground, ask_json

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_trace_of_a_pages_call_is_passed_on(playground: Playground) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=1"}
    assert (await ask_json(playground, "TextToImage", {"prompt": "a cat"}, **headers)).status == 200
    [call] = playground.generation.calls
    assert call.context.trace == TraceContext(trace_id=TRACE, span_id=SPAN, flags="01", state="a=1")
