"""What keys cost a call, in microseconds of the gateway's event loop: `python -m tests.benchmarks.access_cost`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

from prometheus_client import CollectorRegistry

from gateway.access.key_access import KeyAccess
from gateway.access.keys import SCOPES, Key, KeyRing, hash_of, new_key
from shared.errors import CallError
from shared.metrics import AccessMetrics, RpcMetrics
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.handling import CallHandling

METHOD = "diptych.gateway.v1.GatewayService/TextToImage"
CALLS = 20_000
ROUNDS = 7
KEYS = 1000


async def microseconds(handling: CallHandling, secret: str) -> float:
    """The least that a call took, mean of a round: all that happens to it but gRPC, its message and its work."""
    entries = (("user-agent", "grpc-python-asyncio/1.85.1"), ("authorization", f"Bearer {secret}"))
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(CALLS):
            with contextlib.suppress(CallError):
                async with handling.handle(METHOD, entries, 5.0):
                    pass
        best = min(best, (time.perf_counter() - begin) / CALLS)
    return best * 1e6


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
    for name, handled, shown in rows:
        sys.stdout.write(f"{await microseconds(handled, shown):7.1f} µs  {name}\n")


if __name__ == "__main__":
    asyncio.run(_main())
