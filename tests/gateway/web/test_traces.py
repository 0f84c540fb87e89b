"""What the spans of a page's calls say of what they came over."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.web.playground import ask_json, running_playground
from tests.tracing import require_tracing

require_tracing()

from tests.otlp_receiver import receiving  # noqa: E402 - it imports what may be missing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


async def test_a_pages_call_is_told_as_one_of_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with receiving() as receiver:
        async with running_playground(traces_endpoint=receiver.endpoint) as playground:
            assert (await ask_json(playground, "TextToImage", {}, **PARENT)).status == 400
            [call] = await asyncio.to_thread(receiver.wait_for, TRACE, 1)
    assert {name: value for name, value in call.attributes.items() if name.startswith("rpc.")} == {
        "rpc.system": "connect_rpc",
        "rpc.service": "diptych.gateway.v1.GatewayService",
        "rpc.method": "TextToImage",
        "rpc.connect_rpc.error_code": "invalid_argument",
    }
    assert call.parent == "00f067aa0ba902b7"
