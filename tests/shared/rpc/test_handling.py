"""What a call of another front meets: the same context, counts and errors as one of gRPC."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import CallError, InternalError, InvalidArgumentError, UnavailableError
from shared.metrics import RpcMetrics
from shared.rpc import metadata
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.context import current_call, remaining_seconds
from shared.rpc.handling import CallHandling

METHOD = "diptych.gateway.v1.GatewayService/TextToImage"


class Ground:
    """A handling with what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = CallsInFlight()
        self.handling = CallHandling(self.calls, RpcMetrics(self.registry))

    def ended(self, code: str) -> float | None:
        """Calls that ended so."""
        return self.registry.get_sample_value("diptych_rpc_requests_total", {"method": METHOD, "code": code})

    def failures(self) -> dict[tuple[str, str], float]:
        """Calls that did not end well, by code and reason, as far as they are counted."""
        samples = [sample for family in self.registry.collect() for sample in family.samples]
        return {
            (sample.labels["code"], sample.labels["reason"]): sample.value
            for sample in samples
            if sample.name == "diptych_rpc_failures_total"
        }


async def test_call_inside_is_the_current_one_and_counts() -> None:
    ground = Ground()
    entries = [(metadata.REQUEST_ID, "r1"), (metadata.CALLER, "page"), ("user-agent", "a browser")]
    async with ground.handling.handle(METHOD, entries, 5.0):
        assert (current_call().request_id, current_call().caller) == ("r1", "page")
        left = remaining_seconds()
        assert left is not None and 4 < left <= 5
        assert len(ground.calls) == 1
    assert len(ground.calls) == 0
    assert ground.ended("OK") == 1
    assert ground.failures() == {}


def test_expected_method_is_counted_before_its_first_call() -> None:
    ground = Ground()
    ground.handling.expect([METHOD])

    assert ground.ended("OK") == 0
    assert ground.failures()[("UNAVAILABLE", "NO_COMMON_SPACE")] == 0
    assert ("INVALID_ARGUMENT", "FIELD_MISSING") not in ground.failures()


async def test_id_of_a_call_is_still_known_to_what_answers_it() -> None:
    ground = Ground()
    with pytest.raises(InvalidArgumentError):
        async with ground.handling.handle(METHOD, [(metadata.REQUEST_ID, "r2"), (metadata.PRIORITY, "urgent")], None):
            pass
    assert current_call().request_id == "r2"


@pytest.mark.parametrize("value", ["a\tb", "é", "a\x7f", "\n", "x" * 129])
@pytest.mark.parametrize("key", [metadata.REQUEST_ID, metadata.CALLER, metadata.PRIORITY])
async def test_value_that_grpc_could_not_pass_on_is_refused_and_never_echoed(key: str, value: str) -> None:
    ground = Ground()
    with pytest.raises(InvalidArgumentError) as caught:
        async with ground.handling.handle(METHOD, [(key, value)], None):
            pass
    assert (caught.value.reason, caught.value.field) == (Reason.METADATA_INVALID, key)
    assert str(caught.value).isascii()
    assert len(current_call().request_id) == 32


async def test_of_a_key_that_stands_twice_the_first_value_counts() -> None:
    ground = Ground()
    entries = [(metadata.REQUEST_ID, "r1"), (metadata.CALLER, "a"), (metadata.REQUEST_ID, "r2"), (metadata.CALLER, "b")]
    async with ground.handling.handle(METHOD, entries, None):
        assert (current_call().request_id, current_call().caller) == ("r1", "a")


@pytest.mark.parametrize(
    ("raised", "becomes", "reason"),
    [
        (InvalidArgumentError("prompt is empty", field="prompt"), InvalidArgumentError, ""),
        (InvalidArgumentError("no prompt", reason=Reason.FIELD_MISSING), InvalidArgumentError, "FIELD_MISSING"),
        (ZeroDivisionError("secret"), InternalError, "DEFECT"),
    ],
)
async def test_every_exception_becomes_one_of_ours_and_is_counted_by_its_reason(
    raised: Exception, becomes: type[CallError], reason: str
) -> None:
    ground = Ground()
    with pytest.raises(becomes) as caught:
        async with ground.handling.handle(METHOD, [], None):
            raise raised
    assert "secret" not in str(caught.value)
    assert ground.ended(becomes.code.name) == 1
    assert ground.failures() == {(becomes.code.name, reason): 1}


async def test_draining_server_refuses_a_call_and_waits_for_those_inside() -> None:
    ground = Ground()
    async with ground.handling.handle(METHOD, [], None):
        ground.calls.refusing = True
        with pytest.raises(UnavailableError) as caught:
            async with ground.handling.handle(METHOD, [], None):
                pass
        assert caught.value.reason is Reason.NOT_SERVING
        waiting = asyncio.create_task(ground.calls.wait_none())
        await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 20)


@pytest.mark.parametrize(
    ("seconds", "code", "reason"), [(None, "CANCELLED", ""), (0.0, "DEADLINE_EXCEEDED", "DEADLINE_PASSED")]
)
async def test_cancellation_passes_and_is_counted_by_its_cause(seconds: float | None, code: str, reason: str) -> None:
    ground = Ground()

    async def call() -> None:
        async with ground.handling.handle(METHOD, [], seconds):
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ground.ended(code) == 1
    assert ground.failures() == {(code, reason): 1}
