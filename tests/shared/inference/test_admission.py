"""What the learned times say, and who is refused for them; pure functions, times are made up."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DeadlineExceededError, OverloadedError
from shared.inference.admission import Load, Refusal, refusal
from shared.inference.batch_times import BatchTimes, TimesByKind
from shared.inference.displacement import QueueLimits

INFINITE = float("inf")


@pytest.fixture
def times() -> BatchTimes:
    """A batch takes 10 ms and 5 ms an item."""
    return learned({size: 0.01 + 0.005 * size for size in (1, 2, 4, 8)})


def learned(seconds: dict[int, float]) -> BatchTimes:
    times = BatchTimes(tuple(seconds))
    for size, value in seconds.items():
        times.observe(size, value, now=0.0)
    return times


IDLE = Load(
    items_ahead=0,
    others_seconds=0.0,
    items_waiting=0,
    bytes_waiting=0,
    limits=QueueLimits(1, 1),
    gives_way=False,
    running_seconds=None,
)


def busy(
    *,
    waiting: int = 0,
    ahead: int | None = None,
    others_seconds: float = 0.0,
    max_items: int = 100,
    max_bytes: int = 1_000_000,
    gives_way: bool = False,
    running: float = 0.01,
) -> Load:
    return Load(
        items_ahead=waiting if ahead is None else ahead,
        others_seconds=others_seconds,
        items_waiting=waiting,
        bytes_waiting=1000 * waiting,
        limits=QueueLimits(max_items, max_bytes),
        gives_way=gives_way,
        running_seconds=running,
    )


class TestBatchTimes:
    @pytest.mark.parametrize("sizes", [(), (0, 1), (2, 1), (1, 1)])
    def test_bucket_sizes_must_be_positive_and_rise(self, sizes: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="must be positive and rise"):
            BatchTimes(sizes)

    def test_a_batch_takes_the_smallest_bucket_that_holds_it(self, times: BatchTimes) -> None:
        assert [times.bucket(size) for size in range(1, 9)] == [1, 2, 4, 4, 8, 8, 8, 8]

    def test_nothing_known_is_no_reason_to_refuse(self) -> None:
        assert BatchTimes((1, 8)).work_seconds(100, now=0.0) == 0.0

    def test_work_is_full_batches_and_the_bucket_of_the_rest(self, times: BatchTimes) -> None:
        assert times.work_seconds(2 * 8 + 3, now=0.0) == pytest.approx(2 * 0.05 + 0.03)

    def test_a_queue_that_fills_a_batch_is_expected_to_fill_its_last_one_too(self, times: BatchTimes) -> None:
        assert times.queue_seconds(3, now=0.0) == pytest.approx(0.03)
        assert times.queue_seconds(8, now=0.0) == pytest.approx(0.05)
        assert times.queue_seconds(9, now=0.0) == pytest.approx(0.10)

    def test_an_unknown_bucket_is_as_slow_as_the_next_larger_one(self) -> None:
        times = BatchTimes((1, 2, 4))
        times.observe(4, 0.1, now=0.0)
        assert times.batch_seconds(1, now=0.0) == 0.1

    def test_an_unknown_bucket_is_in_proportion_to_the_next_smaller_one(self) -> None:
        times = BatchTimes((1, 2, 4))
        times.observe(2, 0.1, now=0.0)
        assert times.batch_seconds(4, now=0.0) == 0.2

    def test_a_change_of_speed_is_learned_within_a_few_batches(self, times: BatchTimes) -> None:
        for _ in range(10):
            times.observe(8, 0.2, now=0.0)
        assert times.batch_seconds(8, now=0.0) == pytest.approx(0.2, rel=0.1)

    def test_one_slow_batch_is_forgotten_in_time_without_another(self, times: BatchTimes) -> None:
        times.observe(8, 60.0, now=1.0)
        assert times.batch_seconds(8, now=1.0) > 10
        assert times.batch_seconds(8, now=31.0) == pytest.approx(0.05, rel=0.1)

    def test_one_slow_batch_is_forgotten_while_others_run_as_ever(self, times: BatchTimes) -> None:
        times.observe(8, 60.0, now=1.0)
        for second in range(2, 32):
            times.observe(4, 0.03, now=second)
        assert times.batch_seconds(8, now=31.0) == pytest.approx(0.05, rel=0.1)

    def test_a_lasting_slowness_is_not_forgotten(self, times: BatchTimes) -> None:
        for turn in range(40):
            times.observe(8, 0.2, now=0.5 * turn)
        assert times.batch_seconds(8, now=20.0) == pytest.approx(0.2, rel=0.05)
        assert times.batch_seconds(8, now=25.0) == pytest.approx(0.2, rel=0.15)

    def test_a_lasting_slowness_is_believed_of_buckets_that_do_not_run(self, times: BatchTimes) -> None:
        for second in range(1, 11):
            times.observe(4, 4 * 0.03, now=second)
        assert times.batch_seconds(8, now=10.0) == pytest.approx(4 * 0.05, rel=0.2)
        assert times.batch_seconds(8, now=600.0) == pytest.approx(0.05, rel=0.1)

    def test_the_first_batch_as_fast_as_ever_ends_a_slowness(self, times: BatchTimes) -> None:
        for second in range(1, 11):
            times.observe(4, 4 * 0.03, now=second)
        times.observe(1, 0.015, now=11.0)
        assert times.batch_seconds(8, now=21.0) == pytest.approx(0.05, rel=0.1)

    def test_a_bucket_that_began_in_a_slow_time_is_faster_after_it(self) -> None:
        times = BatchTimes((4, 8))
        for second in range(6):
            times.observe(4, 0.12 if second else 0.03, now=second)
        times.observe(8, 0.2, now=6.0)
        assert times.batch_seconds(8, now=6.0) == pytest.approx(0.2)
        times.observe(4, 0.03, now=7.0)
        assert times.batch_seconds(8, now=20.0) == pytest.approx(0.05, rel=0.1)

    @given(st.lists(st.tuples(st.integers(1, 8), st.floats(0.001, 10), st.floats(0, 5)), min_size=1))
    def test_estimates_stay_within_what_was_seen(self, history: list[tuple[int, float, float]]) -> None:
        times, now = BatchTimes((8,)), 0.0
        for size, seconds, pause in history:
            now += pause
            times.observe(size, seconds, now)
        seen = [seconds for _, seconds, _ in history]
        assert min(seen) * 0.999 <= times.batch_seconds(8, now + 1.0) <= max(seen) * 1.001


class TestLargest:
    def test_without_trouble_it_is_the_largest_bucket(self) -> None:
        assert BatchTimes((1, 2, 4, 8)).largest(now=0.0) == 8

    def test_after_a_batch_without_memory_it_is_smaller_and_grows_back(self) -> None:
        times = BatchTimes((1, 2, 4, 8))
        times.shrink(8, now=0.0)
        times.shrink(3, now=1.0)
        assert [times.largest(now=now) for now in (1.0, 30.9, 31.1, 61.1, 1000.0)] == [2, 2, 4, 8, 8]

    def test_it_never_falls_below_the_smallest_bucket(self) -> None:
        times = BatchTimes((4, 8))
        for size in (8, 4, 2, 1):
            times.shrink(size, now=0.0)
        assert times.largest(now=0.0) == 4

    def test_a_late_half_of_the_size_that_failed_shrinks_no_further(self) -> None:
        times = BatchTimes((1, 2, 4, 8))
        times.shrink(8, now=0.0)
        times.shrink(8, now=0.0)
        assert times.largest(now=0.0) == 4

    def test_work_takes_as_many_batches_as_memory_demands(self, times: BatchTimes) -> None:
        assert times.work_seconds(8, now=0.0) == pytest.approx(0.05)
        times.shrink(8, now=0.0)
        assert times.work_seconds(8, now=0.0) == pytest.approx(2 * 0.03)


class TestTimesByKind:
    def test_each_kind_has_its_own_times(self) -> None:
        times = TimesByKind((1, 2))
        times["light"].observe(2, 0.1, now=0.0)
        times["heavy"].observe(2, 1.0, now=0.0)
        assert times.work_seconds({"light": 4, "heavy": 2}, now=0.0) == pytest.approx(1.2)
        assert times.item_seconds(now=0.0) == pytest.approx(0.1)

    def test_what_waits_before_is_as_mixed_as_all_that_waits(self) -> None:
        times = TimesByKind((1, 2))
        times["heavy"].observe(2, 1.0, now=0.0)
        waiting: dict[Hashable, int] = {"light": 6, "heavy": 4}
        assert times.split(5, waiting, "light", now=0.0) == (3, 1.0)
        assert times.split(5, waiting, "unheard of", now=0.0) == (0, 1.0)
        assert times.split(5, {"light": 6}, "light", now=0.0) == (5, 0.0)


class TestPlacesWithin:
    def test_without_haste_it_is_the_bucket_of_what_is_wanted(self, times: BatchTimes) -> None:
        assert times.places_within(INFINITE, 3, now=0.0) == 4

    def test_in_haste_it_is_the_largest_bucket_in_time(self, times: BatchTimes) -> None:
        assert times.places_within(0.035, 8, now=0.0) == 4

    def test_a_batch_too_small_to_be_worth_while_is_none(self, times: BatchTimes) -> None:
        """8 items in 50 ms are 160 a second, 1 in 15 ms is 67."""
        assert times.places_within(0.016, 8, now=0.0) == 0

    def test_a_single_item_is_compared_with_itself(self, times: BatchTimes) -> None:
        assert times.places_within(0.016, 1, now=0.0) == 1
        assert times.places_within(0.014, 1, now=0.0) == 0


class TestRefusal:
    def refused(
        self, times: BatchTimes, load: Load, seconds_left: float = INFINITE, items: int = 1, size: int = 0
    ) -> Refusal | None:
        return refusal(items, size=size, seconds_left=seconds_left, load=load, times=times, now=0.0)

    def test_an_idle_server_takes_even_what_it_believes_hopeless(self, times: BatchTimes) -> None:
        assert self.refused(times, IDLE, seconds_left=0.001, items=64) is None

    def test_a_deadline_that_passed_is_hopeless_even_when_idle(self, times: BatchTimes) -> None:
        refused = self.refused(times, IDLE, seconds_left=0.0)
        assert refused is not None
        assert refused.reason == "hopeless_deadline"
        assert isinstance(refused.error, DeadlineExceededError)

    def test_what_even_an_idle_model_could_not_do_exceeds_its_deadline(self, times: BatchTimes) -> None:
        refused = self.refused(times, busy(), seconds_left=0.04, items=8)
        assert refused is not None
        assert refused.reason == "hopeless_deadline"
        assert str(refused.error) == "8 items take about 0.050 s; the deadline is in 0.040 s"

    def test_what_only_the_queue_makes_hopeless_is_overload(self, times: BatchTimes) -> None:
        refused = self.refused(times, busy(waiting=16), seconds_left=0.1)
        assert refused is not None
        assert refused.reason == "overload"
        assert isinstance(refused.error, OverloadedError)

    def test_overload_says_when_the_queue_will_be_short_enough(self, times: BatchTimes) -> None:
        """1.15 times 10 ms of the running batch and 3 full ones, less the 100 ms that the caller has."""
        refused = self.refused(times, busy(waiting=16), seconds_left=0.1)
        assert refused is not None
        assert isinstance(refused.error, OverloadedError)
        assert refused.error.retry_after_seconds == pytest.approx(1.15 * 0.16 - 0.1)

    def test_only_what_is_served_before_counts_as_ahead(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=16, ahead=0), seconds_left=0.1) is None

    def test_one_item_more_than_may_wait_is_refused(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=98, max_items=100), items=2) is None
        refused = self.refused(times, busy(waiting=99, max_items=100), items=2)
        assert refused is not None
        assert refused.reason == "queue_full"
        assert str(refused.error) == "99 items wait, and 2 more would pass the limit of 100"

    def test_one_byte_more_than_may_wait_is_refused(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=9, max_bytes=10_000), size=1000) is None
        refused = self.refused(times, busy(waiting=9, max_bytes=10_000), size=1001)
        assert refused is not None
        assert refused.reason == "queue_full"
        assert str(refused.error) == "9000 bytes wait, and 1001 more would pass the limit of 10000"

    def test_a_full_queue_whose_others_give_way_does_not_refuse(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=100, max_items=100, gives_way=True)) is None

    def test_work_of_other_kinds_ahead_counts(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=1), seconds_left=0.1) is None
        refused = self.refused(times, busy(waiting=1, others_seconds=0.1), seconds_left=0.1)
        assert refused is not None
        assert refused.reason == "overload"

    def test_without_a_deadline_only_a_full_queue_refuses(self, times: BatchTimes) -> None:
        assert self.refused(times, busy(waiting=99, running=100.0)) is None

    def test_the_time_to_come_back_is_never_0(self) -> None:
        refused = self.refused(BatchTimes((1,)), busy(waiting=1, max_items=1, running=0.0))
        assert refused is not None
        assert isinstance(refused.error, OverloadedError)
        assert refused.error.retry_after_seconds > 0
