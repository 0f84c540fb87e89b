"""Metrics are registered where they are told to, and say what they mean."""

from __future__ import annotations

import os

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Histogram

from gateway.metrics import AccessMetrics, EncodingCacheMetrics, FlowMetrics
from shared.inference.predictor import ModelInfo
from shared.metrics import (
    BATCH_SIZE_BUCKETS,
    SECONDS_BUCKETS,
    BatcherMetrics,
    CertificateMetrics,
    DownstreamMetrics,
    ProcessMemory,
    RpcMetrics,
    WorkerMetrics,
    observed,
)

MEMORY = "diptych_process_resident_memory_bytes"
INFO = ModelInfo(name="length", version="1", digest="0" * 64, space="here", bucket_sizes=(1, 2))
UNITS = ("_seconds", "_bytes", "_total")
COUNTS = {"rpc_requests", "rpc_in_flight", "queue_depth", "items_in_flight", "batch_size", "padding_items", "rejected"}
COUNTS |= {"dropped", "model_process_restarts", "downstream_requests", "downstream_retries", "model_info", "replicas"}
COUNTS |= {"late_items", "out_of_memory", "batch_size_limit", "downstream_refused", "downstream_in_flight"}
COUNTS |= {"offered_items", "capacity_items_per_second", "rpc_failures", "throttled", "keys_outdated"}
COUNTS |= {"tokens", "downstream_joined", "encoding_cache_hits", "encoding_cache_misses", "encoding_cache_evicted"}


@pytest.fixture
def registry() -> CollectorRegistry:
    """A fresh one."""
    return CollectorRegistry()


@pytest.fixture
def everything(registry: CollectorRegistry) -> CollectorRegistry:
    """All that any server registers."""
    for kind in (
        RpcMetrics,
        BatcherMetrics,
        WorkerMetrics,
        AccessMetrics,
        DownstreamMetrics,
        FlowMetrics,
        EncodingCacheMetrics,
        CertificateMetrics,
        ProcessMemory,
    ):
        kind(registry)
    return registry


def test_every_name_has_our_prefix_and_a_unit_or_counts(everything: CollectorRegistry) -> None:
    for family in everything.collect():
        assert family.name.startswith("diptych_")
        assert family.name.endswith(UNITS) or family.name.removeprefix("diptych_") in COUNTS


def test_every_metric_has_a_sentence(everything: CollectorRegistry) -> None:
    for family in everything.collect():
        assert family.documentation.endswith("."), family.name


def test_default_registry_of_the_process_stays_as_it_was(everything: CollectorRegistry) -> None:
    names = {family.name for family in prometheus_client.REGISTRY.collect()}
    assert not [name for name in names if name.startswith("diptych_")]


def test_two_registries_count_apart() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    RpcMetrics(first).requests.labels("a/B", "OK").inc()
    RpcMetrics(second)
    labels = {"method": "a/B", "code": "OK"}
    assert first.get_sample_value("diptych_rpc_requests_total", labels) == 1
    assert second.get_sample_value("diptych_rpc_requests_total", labels) is None


def test_only_the_model_that_is_served_has_an_info(registry: CollectorRegistry) -> None:
    metrics = WorkerMetrics(registry)
    metrics.set_model(INFO, "cpu fp32 1 threads")
    metrics.set_model(INFO, "cuda:0 bf16 1 threads")
    (family,) = (each for each in registry.collect() if each.name == "diptych_model_info")
    (sample,) = family.samples
    assert sample.value == 1
    assert sample.labels == {
        "name": "length", "version": "1", "digest": "0" * 64, "space": "here", "device": "cuda:0 bf16 1 threads"
    }  # fmt: skip


def test_memory_of_each_process_is_read_when_scraped(registry: CollectorRegistry) -> None:
    memory = ProcessMemory(registry)
    assert (registry.get_sample_value(MEMORY, {"process": "front_end"}) or 0) > 1_000_000
    assert registry.get_sample_value(MEMORY, {"process": "model"}) is None
    memory.pids["model"] = os.getpid()
    assert (registry.get_sample_value(MEMORY, {"process": "model"}) or 0) > 1_000_000


def test_process_that_is_gone_is_left_out(registry: CollectorRegistry) -> None:
    memory = ProcessMemory(registry)
    memory.pids["model"] = 2**22 + 1  # above the kernel's largest process id
    assert registry.get_sample_value(MEMORY, {"process": "model"}) is None


def test_block_is_timed_also_when_it_fails(registry: CollectorRegistry) -> None:
    histogram = Histogram("probe_seconds", "Probe.", buckets=SECONDS_BUCKETS, registry=registry)
    with observed(histogram):
        pass
    with pytest.raises(ZeroDivisionError), observed(histogram):
        raise ZeroDivisionError
    assert registry.get_sample_value("probe_seconds_count") == 2


@pytest.mark.parametrize("buckets", [SECONDS_BUCKETS, BATCH_SIZE_BUCKETS])
def test_buckets_rise(buckets: tuple[float, ...]) -> None:
    assert list(buckets) == sorted(set(buckets))
