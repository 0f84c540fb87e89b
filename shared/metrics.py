"""Every metric that Diptych exports, by name; the registry is injected, nothing is registered at import.

Label values come from fixed sets (methods, codes, services, reasons), never from a request.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.inference.predictor import ModelInfo

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_SIZE_BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class RpcMetrics:
    """What a gRPC server does, by method (`package.Service/Method`) and status code."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "diptych_rpc_requests", "RPCs that ended, by method and code.", ("method", "code"), registry=registry
        )
        self.failures = Counter(
            "diptych_rpc_failures",
            "RPCs that did not end well, by code and reason; without a reason where the caller left.",
            ("method", "code", "reason"),
            registry=registry,
        )
        self.seconds = Histogram(
            "diptych_rpc_seconds",
            "Seconds from an RPC's arrival to its end.",
            ("method",),
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("diptych_rpc_in_flight", "RPCs under way.", ("method",), registry=registry)


class BatcherMetrics:
    """What the queue and the batches of a model service do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queue_depth = Gauge("diptych_queue_depth", "Items waiting for a batch.", registry=registry)
        self.items_in_flight = Gauge("diptych_items_in_flight", "Items that the model was given.", registry=registry)
        self.queue_seconds = Histogram(
            "diptych_queue_seconds",
            "Seconds an item waited from its arrival until its batch began.",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.batch_wait_seconds = Histogram(
            "diptych_batch_wait_seconds",
            "Seconds a batch's oldest item had waited when the batch began.",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "diptych_batch_size", "Items a batch.", buckets=BATCH_SIZE_BUCKETS, registry=registry
        )
        self.padding_items = Counter(
            "diptych_padding_items", "Rows of forward passes that were padding.", registry=registry
        )
        self.tokens = Counter(
            "diptych_tokens",
            "Places for tokens in forward passes over texts: filled by a text, or padding.",
            ("kind",),
            registry=registry,
        )
        self.inference_seconds = Histogram(
            "diptych_inference_seconds",
            "Seconds the model process spent on a batch, by bucket size.",
            ("bucket",),
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.out_of_memory = Counter(
            "diptych_out_of_memory",
            "Batches that the model had no memory for; they were halved.",
            registry=registry,
        )
        self.batch_size_limit = Gauge(
            "diptych_batch_size_limit",
            "The most items of a batch; less for a while after one that the model had no memory for.",
            registry=registry,
        )
        self.late_items = Counter(
            "diptych_late_items",
            "Items that ran in vain, their callers gone or past their deadlines: when the batch began (start), or only "
            "when it ended (end).",
            ("when",),
            registry=registry,
        )
        _begin(self.late_items, "start", "end")
        self.overdue_seconds = Histogram(
            "diptych_overdue_seconds",
            "Seconds that a request stayed in the queue past its deadline, of those that did.",
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.offered_items = Counter(
            "diptych_offered_items",
            "Items of requests that arrived, admitted or refused, but for those that a draining service turns away.",
            registry=registry,
        )
        self.capacity = Gauge(
            "diptych_capacity_items_per_second",
            "Items a second that the service can serve, by the learned times of its batches; 0 until one has run.",
            registry=registry,
        )
        self.rejected = Counter(
            "diptych_rejected",
            "Requests refused at arrival: queue_full, overload, hopeless_deadline, not_serving.",
            ("reason",),
            registry=registry,
        )
        _begin(self.rejected, "queue_full", "overload", "hopeless_deadline", "not_serving")
        self.dropped = Counter(
            "diptych_dropped",
            "Admitted requests that left the queue unserved: cancelled, expired, model_lost, displaced.",
            ("reason",),
            registry=registry,
        )
        _begin(self.dropped, "cancelled", "expired", "model_lost", "displaced")


class WorkerMetrics:
    """The model process, as the front end sees it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.restarts = Counter("diptych_model_process_restarts", "Restarts of the model process.", registry=registry)
        self.gpu_memory = Gauge(
            "diptych_gpu_memory_bytes", "GPU memory that the model process holds; 0 on CPU.", registry=registry
        )
        self.gpu_memory_limit = Gauge(
            "diptych_gpu_memory_limit_bytes",
            "GPU memory that the model process may hold; 0 on CPU.",
            registry=registry,
        )
        self.info = Gauge(
            "diptych_model_info",
            "1 for the model that is served.",
            ("name", "version", "digest", "space", "device"),
            registry=registry,
        )

    def set_model(self, info: ModelInfo, device: str) -> None:
        """Says which model is served, and where it runs."""
        self.info.clear()
        self.info.labels(info.name, info.version, info.digest, info.space, device).set(1)


class DownstreamMetrics:
    """The gateway's calls to model services, by service name (`text`, `classification`, ...)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "diptych_downstream_requests",
            "Calls to a model service that ended, retries counted each, by code.",
            ("service", "code"),
            registry=registry,
        )
        self.seconds = Histogram(
            "diptych_downstream_seconds",
            "Seconds of a call to a model service, retries counted each.",
            ("service",),
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.retries = Counter(
            "diptych_downstream_retries", "Calls tried again on another replica.", ("service",), registry=registry
        )
        self.refused = Counter(
            "diptych_downstream_refused",
            "Calls refused in the gateway, since no replica of the service would have answered in time.",
            ("service",),
            registry=registry,
        )
        self.in_flight = Gauge(
            "diptych_downstream_in_flight",
            "Calls to a model service under way, equal ones counted once.",
            ("service",),
            registry=registry,
        )
        self.joined = Counter(
            "diptych_downstream_joined",
            "Calls that were not made, since they got the answer of an equal one under way.",
            ("service",),
            registry=registry,
        )
        self.replicas = Gauge(
            "diptych_replicas",
            "Known replicas by state: serving, not_serving.",
            ("service", "state"),
            registry=registry,
        )

    def expect(self, service: str) -> None:
        """Counts calls to a service from the beginning, as 0."""
        _begin(self.retries, service)
        _begin(self.refused, service)
        _begin(self.joined, service)
        for code in ("OK", "UNAVAILABLE"):
            self.requests.labels(service, code)


class CertificateMetrics:
    """When what a server shows its callers ends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.expiry = Gauge(
            "diptych_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires, in seconds since 1970.",
            registry=registry,
        )


class ProcessMemory(Collector):
    """Resident memory by process, read when scraped; `pids` may change between scrapes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pids: dict[str, int | str] = {"front_end": "self"}
        """Process id by role: `front_end`, and `model` where there is a model process."""
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Reads /proc; a process that is gone is left out."""
        resident = GaugeMetricFamily(
            "diptych_process_resident_memory_bytes", "Resident memory, by process.", labels=["process"]
        )
        for role, pid in self.pids.items():
            if (value := _resident_bytes(pid)) is not None:
                resident.add_metric([role], value)
        yield resident


def _begin(counter: Counter, *values: str) -> None:
    """Counts each of the label's values from the beginning, as 0: a rate sees no increase in a series' first sample."""
    for value in values:
        counter.labels(value)


def _resident_bytes(pid: int | str) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


@contextmanager
def observed(histogram: Histogram) -> Iterator[None]:
    """Times a block, also one that awaits."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - begin)
