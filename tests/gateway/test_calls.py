"""What travels with a call besides its message: deadline, cancellation, request id; and metrics."""

from __future__ import annotations

import asyncio

import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.rpc import metadata
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")
REQUEST = gateway_pb2.TextToImageRequest(prompt="a cat")


async def test_model_services_get_less_time_than_the_caller_gave(platform: Platform) -> None:
    platform.text[0].behaviour.delay_seconds = 0.2
    await platform.stub.TextToImage(REQUEST, timeout=9)
    first, second = platform.text[0].calls[0].remaining_seconds, platform.generation[0].calls[0].remaining_seconds
    assert first is not None and second is not None
    assert first < 9 + 0.02  # below 10 s gRPC rounds a deadline up to the next 0.01 s
    assert second < 9 - 0.1


async def test_call_without_deadline_gets_the_gateways_own(platform: Platform) -> None:
    await platform.stub.TextToImage(REQUEST)
    remaining = platform.text[0].calls[0].remaining_seconds
    assert remaining is not None and 30 < remaining < 61


@pytest.mark.parametrize("service", ["text", "generation"])
async def test_cancel_reaches_the_service_at_work(platform: Platform, service: str) -> None:
    behaviour = getattr(platform, service)[0].behaviour
    behaviour.delay_seconds = 30
    call = platform.stub.TextToImage(REQUEST)
    await asyncio.wait_for(behaviour.called.wait(), 20)
    call.cancel()
    await asyncio.wait_for(behaviour.cancelled.wait(), 20)


async def test_cancelled_call_goes_no_further(platform: Platform) -> None:
    platform.text[0].behaviour.delay_seconds = 30
    call = platform.stub.TextToImage(REQUEST)
    await asyncio.wait_for(platform.text[0].behaviour.called.wait(), 20)
    call.cancel()
    await asyncio.wait_for(platform.text[0].behaviour.cancelled.wait(), 20)
    assert platform.generation[0].calls == []


async def test_request_id_caller_and_priority_are_passed_on(platform: Platform) -> None:
    entries = ((metadata.REQUEST_ID, "req-1"), (metadata.CALLER, "tester"), (metadata.PRIORITY, "batch"))
    await platform.stub.TextToImage(REQUEST, metadata=entries)
    for fake in (platform.text[0], platform.generation[0]):
        context = fake.calls[0].context
        assert (context.request_id, context.caller, context.priority) == ("req-1", "tester", "batch")


async def test_both_services_see_the_same_made_up_request_id(platform: Platform) -> None:
    await platform.stub.TextToImage(REQUEST)
    ids = {fake.calls[0].context.request_id for fake in (platform.text[0], platform.generation[0])}
    assert len(ids) == 1


async def test_downstream_calls_are_counted_by_service_and_code(platform: Platform) -> None:
    def count() -> float:
        labels = {"service": "generation", "code": "OK"}
        return platform.registry.get_sample_value("diptych_downstream_requests_total", labels) or 0.0

    before = count()
    await platform.stub.TextToImage(REQUEST)
    assert count() == before + 1


async def test_serving_replicas_are_counted(platform: Platform) -> None:
    await platform.stub.TextToImage(REQUEST)
    labels = {"service": "text", "state": "serving"}
    assert platform.registry.get_sample_value("diptych_replicas", labels) == 1.0
