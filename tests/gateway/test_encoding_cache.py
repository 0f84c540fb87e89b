"""The memory of encodings by itself: its bounds in bytes, what is forgotten first, what it counts."""

from __future__ import annotations

import tracemalloc

import pytest
from prometheus_client import CollectorRegistry

from diptych.types.v1 import encoding_pb2
from gateway.encoding_cache import ENTRY_BYTES, EncodingCache
from gateway.metrics import EncodingCacheMetrics

MODEL = ("d" * 64, "space-a")
ENCODING = encoding_pb2.Encoding(space="space-a", vector=[0.5] * 256)


def _cache(max_bytes: int) -> tuple[EncodingCache, CollectorRegistry]:
    registry = CollectorRegistry()
    return EncodingCache(max_bytes, EncodingCacheMetrics(registry)), registry


def _known(cache: EncodingCache, texts: str) -> str:
    return "".join(cache.find(MODEL, list(texts)))


async def test_remembered_encoding_is_the_one_that_was_made() -> None:
    cache, _ = _cache(100_000)
    cache.remember(MODEL, "a cat", ENCODING)
    [data] = cache.find(MODEL, ["a dog", "a cat"]).values()
    assert encoding_pb2.Encoding.FromString(data) == ENCODING


@pytest.mark.parametrize("other", [("e" * 64, "space-a"), ("d" * 64, "space-b")], ids=["digest", "space"])
async def test_other_models_encoding_is_never_found(other: tuple[str, str]) -> None:
    cache, _ = _cache(100_000)
    cache.remember(other, "a cat", ENCODING)
    assert not cache.find(MODEL, ["a cat"])


async def test_least_recently_used_is_forgotten_first() -> None:
    cache, registry = _cache(4 * (len(ENCODING.SerializeToString()) + ENTRY_BYTES + 100))
    for text in "abcd":
        cache.remember(MODEL, text, ENCODING)
    assert _known(cache, "ac") == "ac"
    cache.remember(MODEL, "e", ENCODING)
    cache.remember(MODEL, "f", ENCODING)
    assert _known(cache, "abcdef") == "acef"
    assert registry.get_sample_value("diptych_encoding_cache_evicted_total") == 2


async def test_memory_stays_within_the_bound_whatever_comes() -> None:
    bound = 2_000_000
    cache, registry = _cache(bound)
    cache.remember(MODEL, "first", ENCODING)
    tracemalloc.start()
    try:
        for index in range(5_000):
            text = f"{index} 猫" * (1 + index % 60)
            model = (str(index % 2) * 64, "".join(["space-", "a"]))
            cache.remember(model, text, ENCODING)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = registry.get_sample_value("diptych_encoding_cache_bytes")
    assert counted is not None and 0.9 * bound < counted <= bound
    assert taken < 1.1 * bound
    assert 500 < len(cache) < 5_000


async def test_what_is_larger_than_all_the_room_drives_nothing_out() -> None:
    cache, _ = _cache(4_000)
    cache.remember(MODEL, "a", ENCODING)
    cache.remember(MODEL, "b" * 5_000, ENCODING)
    assert _known(cache, "a") == "a"


async def test_without_room_nothing_is_remembered() -> None:
    cache, registry = _cache(0)
    cache.remember(MODEL, "a", ENCODING)
    assert not cache.find(MODEL, ["a"])
    assert registry.get_sample_value("diptych_encoding_cache_bytes") == 0
