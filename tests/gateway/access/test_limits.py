"""Token buckets and accounts, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.access.limits import Account, TokenBucket
from gateway.metrics import AccessMetrics
from shared.codes import Reason
from shared.errors import OverloadedError
from tests.gateway.access.given_keys import key_of


class Clock:
    """Stands still unless turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Ground:
    """Accounts on one clock, and what they throttled."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.registry = CollectorRegistry()
        self.metrics = AccessMetrics(self.registry)

    def account(self, **terms: Any) -> Account:
        """Of a new key."""
        return Account(key_of("shop", **terms)[1], self.metrics, self.clock)

    def throttled(self, reason: str) -> float | None:
        """How often."""
        return self.registry.get_sample_value("diptych_throttled_total", {"reason": reason})


def refusal(act: Callable[[], None]) -> OverloadedError:
    """What it raises."""
    with pytest.raises(OverloadedError) as caught:
        act()
    return caught.value


def test_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=2.0, burst=3.0, clock=clock)
    assert [bucket.take(1) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now += 0.5
    assert [bucket.take(1), bucket.take(1)] == [0.0, 0.5]
    clock.now += 100
    assert [bucket.take(1) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_bucket_gives_more_than_it_holds_only_when_full_and_is_then_owed() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=1.0, burst=4.0, clock=clock)
    assert bucket.take(10) == 0.0
    assert bucket.take(1) == 7.0
    clock.now += 7
    assert bucket.take(1) == 0.0
    assert bucket.take(10) == 4.0


@pytest.mark.parametrize("rate", [0.3, 3.0, 7.7, 1000.0])
def test_who_waits_as_long_as_told_is_let_in(rate: float) -> None:
    clock = Clock()
    clock.now = 1_234_567.891  # where floating point numbers are coarser
    bucket = TokenBucket(rate=rate, burst=1.0, clock=clock)
    assert bucket.take(1) == 0.0
    for _ in range(1000):
        clock.now += bucket.take(1)
        assert bucket.take(1) == 0.0
    assert bucket.take(1) > 0


def test_account_without_limits_counts_nothing() -> None:
    account = Ground().account()
    for _ in range(10_000):
        account.begin()
        account.charge_pictures(16)


def test_calls_over_the_rate_are_refused_with_the_time_to_come_back() -> None:
    ground = Ground()
    account = ground.account(calls_per_second=4.0, calls_burst=1.0)
    account.begin()
    refused = refusal(account.begin)
    assert (refused.reason, refused.retry_after_seconds) == (Reason.RATE_LIMITED, 0.25)
    assert str(refused) == "key shop may have 4 calls a second, 1 at once; 1 more can come in 0.25 s"
    assert (ground.throttled("calls"), ground.throttled("pictures")) == (1, 0)
    ground.clock.now += 0.25
    account.begin()


def test_burst_is_a_seconds_worth_unless_said_and_one_at_least() -> None:
    for rate, burst in ((2.5, 3), (0.1, 1)):
        account = Ground().account(calls_per_second=rate)
        for _ in range(burst):
            account.begin()
        refusal(account.begin)


def test_pictures_are_counted_one_by_one_and_refused_together() -> None:
    ground = Ground()
    account = ground.account(pictures_per_second=1.0, pictures_burst=4.0)
    account.charge_pictures(3)
    refused = refusal(lambda: account.charge_pictures(2))
    assert (refused.reason, refused.retry_after_seconds) == (Reason.RATE_LIMITED, 1.0)
    account.charge_pictures(1)
    assert ground.throttled("pictures") == 1


def test_calls_under_way_are_bounded_and_a_refused_one_costs_no_call() -> None:
    ground = Ground()
    account = ground.account(concurrent_calls=2, calls_per_second=1.0, calls_burst=3.0)
    account.begin()
    account.begin()
    refused = refusal(account.begin)
    assert (refused.reason, refused.retry_after_seconds) == (Reason.CONCURRENCY_LIMITED, 1.0)
    account.end()
    account.begin()
    assert (ground.throttled("concurrency"), ground.throttled("calls")) == (1, 0)


def test_call_refused_for_its_rate_is_not_under_way() -> None:
    ground = Ground()
    account = ground.account(concurrent_calls=2, calls_per_second=1.0, calls_burst=1.0)
    account.begin()
    refusal(account.begin)
    account.end()
    ground.clock.now += 10
    account.begin()
    ground.clock.now += 10
    account.begin()


def test_new_terms_keep_what_was_used() -> None:
    ground = Ground()
    account = ground.account(calls_per_second=1.0, calls_burst=10.0, concurrent_calls=9)
    for _ in range(8):
        account.begin()
    account.change(key_of("shop", calls_per_second=1.0, calls_burst=4.0, concurrent_calls=11)[1])
    account.begin()
    account.begin()
    assert refusal(account.begin).reason is Reason.RATE_LIMITED
    account.change(key_of("shop", concurrent_calls=10)[1])
    assert refusal(account.begin).reason is Reason.CONCURRENCY_LIMITED
