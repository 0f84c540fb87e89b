"""How much one key may do: calls a second, pictures a second, calls at once; knows no key's secret and no transport."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextvars import ContextVar

from gateway.access.keys import Key
from gateway.metrics import AccessMetrics
from shared.codes import Reason
from shared.errors import OverloadedError

CALLS, PICTURES, CONCURRENCY = "calls", "pictures", "concurrency"
"""Why a call was throttled, for the metric."""
RETRY_SECONDS = 1.0
"""When to come back after too many calls at once: by then some have ended."""
_ROUNDING = 1e-3
"""Of tokens: who waits as long as it was told is not sent away again by a floating point number."""

Clock = Callable[[], float]
"""Seconds that never go back."""


class TokenBucket:
    """Holds `burst` tokens at most, and gets `rate` of them a second."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._tokens = burst
        self._updated = clock()

    def change(self, rate: float, burst: float) -> None:
        """Other numbers from now on; what was taken stays taken."""
        self._fill()
        self._tokens = min(self._tokens, burst)
        self.rate, self.burst = rate, burst

    def take(self, number: float) -> float:
        """Takes so many tokens and returns 0, or takes none and returns the seconds until it could.

        Of more than the bucket holds, it must be full, and then owes the rest: else they could never be had.
        """
        self._fill()
        missing = min(number, self.burst) - self._tokens
        if missing > _ROUNDING:
            return missing / self.rate
        self._tokens -= number
        return 0.0

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self.burst, self._tokens + (now - self._updated) * self.rate)
        self._updated = now


class Account:
    """What a key may do, and what it has done; lives as long as the file names the key, or a call of it lasts."""

    def __init__(self, key: Key, metrics: AccessMetrics, clock: Clock = time.monotonic) -> None:
        self.key = key
        self._metrics = metrics
        self._clock = clock
        self._calls = _bucket(key.calls_per_second, key.calls_burst, None, clock)
        self._pictures = _bucket(key.pictures_per_second, key.pictures_burst, None, clock)
        self._under_way = 0

    def change(self, key: Key) -> None:
        """The same caller with other terms; what it has done counts on."""
        self.key = key
        self._calls = _bucket(key.calls_per_second, key.calls_burst, self._calls, self._clock)
        self._pictures = _bucket(key.pictures_per_second, key.pictures_burst, self._pictures, self._clock)

    def begin(self) -> None:
        """Counts a call, until `end`.

        Raises:
            OverloadedError: it is one too many.
        """
        most = self.key.concurrent_calls
        if most is not None and self._under_way >= most:
            self._metrics.throttled.labels(CONCURRENCY).inc()
            message = f"key {self.key.name} has {self._under_way} calls under way; the limit is {most}"
            raise OverloadedError(message, reason=Reason.CONCURRENCY_LIMITED, retry_after_seconds=RETRY_SECONDS)
        self._take(self._calls, 1, CALLS)
        self._under_way += 1

    def end(self) -> None:
        """The call has ended."""
        self._under_way -= 1

    def charge_pictures(self, number: int) -> None:
        """Counts pictures to paint, or to look at.

        Raises:
            OverloadedError: they are too many; none is counted.
        """
        self._take(self._pictures, number, PICTURES)

    def _take(self, bucket: TokenBucket | None, number: int, what: str) -> None:
        if bucket is None or not (seconds := bucket.take(number)):
            return
        self._metrics.throttled.labels(what).inc()
        allowed = f"{bucket.rate:g} {what} a second, {bucket.burst:g} at once"
        message = f"key {self.key.name} may have {allowed}; {number} more can come in {seconds:.3g} s"
        retry_after = max(seconds, 0.001)
        raise OverloadedError(message, reason=Reason.RATE_LIMITED, retry_after_seconds=retry_after)


def _bucket(rate: float | None, burst: float | None, before: TokenBucket | None, clock: Clock) -> TokenBucket | None:
    """A bucket for a limit: the one before with other numbers where there is one; none without a limit."""
    if rate is None:
        return None
    burst = max(1.0, math.ceil(rate)) if burst is None else burst
    if before is None:
        return TokenBucket(rate, burst, clock)
    before.change(rate, burst)
    return before


_current: ContextVar[Account] = ContextVar("diptych_account")


def enter_account(account: Account) -> None:
    """Makes `account` that of the current call, for this task and what it starts."""
    _current.set(account)


def charge_pictures(number: int) -> None:
    """Counts pictures for whoever makes the current call; for nobody where the gateway has no keys.

    Raises:
        OverloadedError: its key may not have so many now.
    """
    if (account := _current.get(None)) is not None:
        account.charge_pictures(number)
