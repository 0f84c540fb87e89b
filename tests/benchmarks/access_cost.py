"""What keys cost a call, in microseconds of CPU: `python -m tests.benchmarks.access_cost`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from prometheus_client import CollectorRegistry

from gateway.access.key_access import KeyAccess
from gateway.access.keys import SCOPES, Key, KeyRing, hash_of, new_key
from gateway.metrics import AccessMetrics
from shared.errors import CallError
from shared.metrics import RpcMetrics
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.handling import CallHandling

METHOD = "diptych.gateway.v1.GatewayService/TextToImage"
CALLS = 5_000
ROUNDS = 21
KEYS = 1000


async def seconds(handling: CallHandling, secret: str) -> float:
    """CPU time of `CALLS` calls: of all that happens to them but gRPC, their messages and their work."""
    entries = (("user-agent", "grpc-python-asyncio/1.85.1"), ("authorization", f"Bearer {secret}"))
    begin = time.process_time()
    for _ in range(CALLS):
        with contextlib.suppress(CallError):
            async with handling.handle(METHOD, entries, 5.0):
                pass
    return time.process_time() - begin


async def _main() -> None:
    secret, late, other, slow = (new_key() for _ in range(4))
    keys = [
        Key(name="shop", sha256=hash_of(secret), scopes=list(SCOPES), calls_per_second=1e9, concurrent_calls=9),
        Key(name="other", sha256=hash_of(other), scopes=["encode"]),
        Key(name="slow", sha256=hash_of(slow), scopes=list(SCOPES), calls_per_second=1e-6),
        *(Key(name=f"k{n}", sha256=hash_of(new_key()), scopes=[]) for n in range(KEYS)),
    ]
    open_registry, registry = CollectorRegistry(), CollectorRegistry()
    access = KeyAccess(KeyRing(keys), AccessMetrics(registry))
    handling = CallHandling(CallsInFlight(), RpcMetrics(registry), access)
    rows = [
        ("without keys", CallHandling(CallsInFlight(), RpcMetrics(open_registry)), secret),
        ("a good key with limits", handling, secret),
        ("an unknown key", handling, late),
        ("no scope", handling, other),
        ("over its rate", handling, slow),
    ]
    least = dict.fromkeys((name for name, *_ in rows), float("inf"))
    for _ in range(ROUNDS):  # by turns, so that all meet the same noise
        for name, handled, shown in rows:
            least[name] = min(least[name], await seconds(handled, shown))
    for name, taken in least.items():
        sys.stdout.write(f"{taken / CALLS * 1e6:7.1f} µs  {name}\n")


if __name__ == "__main__":
    asyncio.run(_main())
