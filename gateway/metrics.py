"""Metrics that the gateway alone exports, by name; as for `shared/metrics.py`, the registry is injected."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class AccessMetrics:
    """What a gateway with keys refuses for their limits, by `calls`, `pictures` and `concurrency`.

    Not by key: names of customers are not for everybody who may read metrics, and who is throttled is told so.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.throttled = Counter(
            "diptych_throttled",
            "Calls refused for a limit of their key: its calls a second, its pictures a second, or its calls under way "
            "(calls, pictures, concurrency).",
            ("reason",),
            registry=registry,
        )
        for reason in ("calls", "pictures", "concurrency"):  # so that each is there from the beginning, as 0
            self.throttled.labels(reason)
        self.keys_outdated = Gauge(
            "diptych_keys_outdated",
            "1 while the file of keys is missing or broken, and the keys read before stay in use.",
            registry=registry,
        )


class FlowMetrics:
    """Where the time of the gateway's calls goes, streams left out: their parts overlap."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Counter(
            "diptych_flow_seconds",
            "Seconds of answered calls by where they went: a model service's queue, inference or all else until its "
            "answer was here (call), or the gateway itself (own).",
            ("method", "service", "part"),
            registry=registry,
        )


class EncodingCacheMetrics:
    """What the gateway remembers of texts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.hits = Counter("diptych_encoding_cache_hits", "Texts whose encoding was remembered.", registry=registry)
        self.misses = Counter("diptych_encoding_cache_misses", "Texts that had to be encoded.", registry=registry)
        self.evicted = Counter(
            "diptych_encoding_cache_evicted", "Encodings forgotten to make room for others.", registry=registry
        )
        self.bytes = Gauge("diptych_encoding_cache_bytes", "Memory that the encodings take.", registry=registry)
