"""A caller's trace context reaches the services, though nothing is recorded here; no tracing package is needed."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.rpc import metadata
from shared.trace_context import TraceContext
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def painted(platform: Platform, *entries: tuple[str, str]) -> list[TraceContext | None]:
    """The traces that the services of a call were told."""
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])
    await platform.stub.TextToImage(request, timeout=30, metadata=entries)
    return [platform.text[0].calls[-1].context.trace, platform.generation[0].calls[-1].context.trace]


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_trace_of_the_caller_is_passed_on_as_it_is(platform: Platform, flags: str) -> None:
    entries = [
        (metadata.TRACE_PARENT, f"00-{TRACE}-{SPAN}-{flags}"),
        (metadata.TRACE_STATE, "a=1"),
        (metadata.TRACE_STATE, "b=2"),
    ]
    expected = TraceContext(trace_id=TRACE, span_id=SPAN, flags=flags, state="a=1,b=2")
    assert await painted(platform, *entries) == [expected, expected]


async def test_without_one_there_is_none(platform: Platform) -> None:
    assert await painted(platform) == [None, None]


async def test_one_that_cannot_be_read_is_left_out(platform: Platform) -> None:
    assert await painted(platform, (metadata.TRACE_PARENT, "00-nonsense"), (metadata.TRACE_STATE, "a=1")) == [
        None,
        None,
    ]
