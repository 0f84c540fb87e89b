"""/metrics of each process: every family there, counters that move with traffic, gauges that come back to zero."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import psutil
import pytest
from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from gateway import metrics as gateway_metrics
from shared import metrics
from tests.end_to_end.calls import Connect, encode, generate, refusal, text_encoding, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.servers import GRPC_SERVICES, SERVERS, SERVICES, Server

METHOD = "diptych.text.v1.TextEncodingService/EncodeText"


def families(*groups: type) -> frozenset[str]:
    """Names of the families that classes of metrics define."""
    registry = CollectorRegistry()
    for group in groups:
        group(registry)
    return frozenset(family.name for family in registry.collect())


OF_A_SERVICE = families(metrics.RpcMetrics, metrics.BatcherMetrics, metrics.WorkerMetrics, metrics.ProcessMemory)
OF_THE_GATEWAY = families(
    metrics.RpcMetrics,
    metrics.DownstreamMetrics,
    gateway_metrics.FlowMetrics,
    gateway_metrics.EncodingCacheMetrics,
    gateway_metrics.AccessMetrics,
    metrics.ProcessMemory,
)


def in_use(server: Server) -> dict[str, float]:
    """Gauges that must be 0 when nobody calls."""
    found = server.metrics()
    names = ("diptych_queue_depth", "diptych_items_in_flight", "diptych_rpc_in_flight")
    return {name: found.total(name) for name in names if found.total(name)}


def test_families_are_known_by_reflection() -> None:
    assert "diptych_queue_depth" in OF_A_SERVICE
    assert "diptych_replicas" in OF_THE_GATEWAY
    assert all(name.startswith("diptych_") for name in OF_A_SERVICE | OF_THE_GATEWAY)


@pytest.mark.parametrize("name", SERVERS)
def test_metrics_page_has_every_family(name: str, platform: Platform) -> None:
    expected = OF_THE_GATEWAY if name == "gateway" else OF_A_SERVICE

    assert expected <= platform[name].metrics().families


@pytest.mark.parametrize("name", SERVICES)
def test_model_info_names_the_model_that_is_served(name: str, platform: Platform) -> None:
    found = platform[name].metrics()

    assert found.total("diptych_model_info", name=f"tiny-{name}", version="0.0.0", space="tiny") == 1
    assert found.total("diptych_model_info") == 1


@pytest.mark.parametrize("name", SERVICES)
def test_memory_of_front_end_and_model_process_is_shown(name: str, platform: Platform) -> None:
    found = platform[name].metrics()
    front_end, model = (
        found.total("diptych_process_resident_memory_bytes", process=process) for process in ("front_end", "model")
    )

    assert front_end == pytest.approx(resident_bytes(platform[name].pid), rel=0.2)
    assert model == pytest.approx(resident_bytes(platform[name].model_pid()), rel=0.2)


def test_memory_of_the_gateway_is_shown(platform: Platform) -> None:
    resident = platform.gateway.metrics().total("diptych_process_resident_memory_bytes", process="front_end")

    assert resident == pytest.approx(resident_bytes(platform.gateway.pid), rel=0.2)


def resident_bytes(pid: int) -> int:
    """Of a process now, as the system tells; how much it is depends on the tests before."""
    return int(psutil.Process(pid).memory_info().rss)


async def test_counters_of_a_service_move_by_the_traffic(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.text)
    before = platform.text.metrics()

    await asyncio.gather(*(encode(stubs, "a cat", "a dog", "a house") for _ in range(5)))

    after = platform.text.metrics()

    def moved(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    assert moved("diptych_rpc_requests_total", method=METHOD, code="OK") == 5
    assert moved("diptych_rpc_seconds_count", method=METHOD) == 5
    assert moved("diptych_queue_seconds_count") == 15
    batches = moved("diptych_batch_size_count")
    assert 1 <= batches <= 5
    assert moved("diptych_batch_size_sum") == 15
    assert moved("diptych_batch_wait_seconds_count") == batches
    assert moved("diptych_inference_seconds_count") == batches
    assert moved("diptych_inference_seconds_sum") > 0
    assert 0 <= moved("diptych_padding_items_total") <= 3 * batches  # a pass has 4 rows at most where others differ
    tokens = moved("diptych_tokens_total", kind="text")
    assert tokens >= 15
    assert (tokens + moved("diptych_tokens_total", kind="padding")) % 8 == 0


def counted(code: str, server: Server) -> float:
    """Calls of METHOD that ended so; counted when the status has left, so maybe after the caller has it."""
    return server.metrics().total("diptych_rpc_requests_total", method=METHOD, code=code)


async def test_refused_call_is_counted_under_its_code(platform: Platform, connect: Connect) -> None:
    refused, answered = (counted(code, platform.text) for code in ("INVALID_ARGUMENT", "OK"))

    await refusal(encode(connect(platform.text), ""))

    await until(lambda: counted("INVALID_ARGUMENT", platform.text) == refused + 1, "the refusal is counted")
    assert counted("OK", platform.text) == answered


async def test_request_that_is_no_message_is_counted_and_refused(platform: Platform, connect: Connect) -> None:
    before = counted("INVALID_ARGUMENT", platform.text)
    call: Any = connect(platform.text).channel.unary_unary(f"/{METHOD}")

    end = await refusal(call(b"\xff\xff\xff\xff", timeout=30.0))

    assert end.code == grpc.StatusCode.INVALID_ARGUMENT
    await until(lambda: counted("INVALID_ARGUMENT", platform.text) == before + 1, "the refusal is counted")


async def test_downstream_calls_of_the_gateway_are_counted_by_service(platform: Platform, connect: Connect) -> None:
    before = platform.gateway.metrics()
    request = gateway_pb2.TextToImageRequest(prompt="a cat")

    await connect(platform.gateway).gateway.TextToImage(request, timeout=30.0)

    after = platform.gateway.metrics()
    for service in SERVICES:
        wanted = 1 if service in ("text", "generation") else 0
        name = "diptych_downstream_requests_total"
        assert after.total(name, service=service) - before.total(name, service=service) == wanted
        assert after.total("diptych_replicas", service=service, state="serving") == 1
        assert after.total("diptych_replicas", service=service, state="not_serving") == 0


async def test_gauges_return_to_zero_after_traffic(platform: Platform, connect: Connect) -> None:
    encoding = await text_encoding(connect(platform.text))
    generation, gateway = connect(platform.generation), connect(platform.gateway)
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1, 2])
    bad = text_encoding_pb2.EncodeTextRequest()

    await asyncio.gather(
        *(generate(generation, encoding, seed) for seed in range(20)),
        *(gateway.gateway.TextToImage(request, timeout=30.0) for _ in range(5)),
        *(refusal(gateway.gateway.EncodeText(bad, timeout=30.0)) for _ in range(5)),  # type: ignore[arg-type]
        *(refusal(encode(gateway, "a cat")) for _ in range(3)),  # a method the gateway has not
    )

    for name in GRPC_SERVICES:
        await until(lambda name=name: not in_use(platform[name]), f"{name} is idle")  # type: ignore[misc]
