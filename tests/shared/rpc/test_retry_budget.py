"""How many retries a number of calls pays for."""

from __future__ import annotations

from shared.rpc.retry_budget import RetryBudget


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _retries(budget: RetryBudget) -> int:
    number = 0
    while budget.spend():
        number += 1
    return number


def test_begins_with_a_full_burst() -> None:
    assert _retries(RetryBudget(ratio=0.2, burst=3, clock=Clock())) == 3


def test_five_calls_pay_for_one_retry() -> None:
    budget = RetryBudget(ratio=0.2, burst=10, clock=Clock())
    _retries(budget)
    for _ in range(20):
        budget.earn()
    assert _retries(budget) == 4


def test_a_second_pays_for_one_retry() -> None:
    clock = Clock()
    budget = RetryBudget(ratio=0.0, burst=10, clock=clock)
    _retries(budget)
    clock.now = 2.5
    assert _retries(budget) == 2


def test_never_holds_more_than_the_burst() -> None:
    clock = Clock()
    budget = RetryBudget(ratio=1.0, burst=2, clock=clock)
    for _ in range(50):
        budget.earn()
    clock.now = 1000.0
    assert _retries(budget) == 2
