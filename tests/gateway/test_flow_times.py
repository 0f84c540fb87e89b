"""The time of a flow is divided among its parts, and they add up to it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import model_pb2
from gateway.flow_times import FlowTimes, timed
from gateway.metrics import FlowMetrics

METHOD = "diptych.gateway.v1.GatewayService/TextToImage"
TEXT = "diptych.text.v1.TextEncodingService/EncodeText"
GENERATION = "diptych.generation.v1.GenerationService/GenerateImage"


def stage(method: str, elapsed: float, *, queue: float = 0.0, inference: float = 0.0) -> model_pb2.Stage:
    """A call to a service that took so many seconds."""
    timings = model_pb2.Timings(queue_seconds=queue, inference_seconds=inference, batch_size=1)
    return model_pb2.Stage(method=method, elapsed_seconds=elapsed, timings=timings)


def divided(seconds: float, *stages: model_pb2.Stage) -> dict[tuple[str, str], object]:
    """Seconds by service and part of one flow."""
    registry = CollectorRegistry()
    FlowTimes(FlowMetrics(registry)).add("TextToImage", seconds, stages)
    samples = [sample for family in registry.collect() for sample in family.samples if sample.name.endswith("_total")]
    assert {sample.labels["method"] for sample in samples} == {METHOD}
    return {(each.labels["service"], each.labels["part"]): pytest.approx(each.value) for each in samples}


def test_each_part_of_each_call_and_what_is_left_for_the_gateway() -> None:
    parts = divided(10.0, stage(TEXT, 3.0, queue=1.0, inference=1.5), stage(GENERATION, 6.0, queue=0.5, inference=5.0))

    assert parts == {
        ("text", "queue"): 1.0,
        ("text", "inference"): 1.5,
        ("text", "call"): 0.5,
        ("generation", "queue"): 0.5,
        ("generation", "inference"): 5.0,
        ("generation", "call"): 0.5,
        ("gateway", "own"): 1.0,
    }


def test_answer_of_an_equal_call_under_way_counts_for_no_longer_than_it_was_waited_for() -> None:
    parts = divided(1.0, stage(TEXT, 1.0, queue=3.0, inference=0.75))

    assert parts[("text", "inference")] == 0.75
    assert parts[("text", "queue")] == 0.25
    assert parts[("text", "call")] == 0.0


def test_calls_side_by_side_share_the_time_that_they_took_together() -> None:
    parts = divided(2.0, stage(TEXT, 2.0, inference=2.0), stage(TEXT, 2.0, inference=1.0))

    assert parts[("text", "inference")] == 1.5
    assert parts[("text", "call")] == 0.5
    assert parts[("gateway", "own")] == 0.0


def test_flow_that_was_remembered_is_all_the_gateways() -> None:
    assert divided(0.5) == {("gateway", "own"): 0.5}


async def test_failed_flow_is_left_out() -> None:
    registry = CollectorRegistry()
    times = FlowTimes(FlowMetrics(registry))

    async def failing() -> gateway_pb2.TextToImageResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await times.of("TextToImage", failing())
    assert [sample for family in registry.collect() for sample in family.samples] == []


class Timer:
    """A servicer of one RPC."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.times = FlowTimes(FlowMetrics(self.registry))

    @timed
    async def TextToImage(self, request: object, context: object) -> gateway_pb2.TextToImageResponse:
        """Answers at once."""
        return gateway_pb2.TextToImageResponse(stages=[stage(TEXT, 0.0)])


async def test_timed_rpc_is_counted_under_its_name() -> None:
    timer = Timer()

    assert len((await timer.TextToImage(None, context=None)).stages) == 1

    labels = {"method": METHOD, "service": "gateway", "part": "own"}
    assert (timer.registry.get_sample_value("diptych_flow_seconds_total", labels) or 0) > 0
