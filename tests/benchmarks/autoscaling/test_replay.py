"""The server's model, what Prometheus sees of it, and days that can be reckoned by hand."""

from __future__ import annotations

import pytest

from tests.benchmarks.autoscaling.day import BLOCK_SECONDS, FLASH_FACTOR, day, from_seconds
from tests.benchmarks.autoscaling.fleet import Fleet, start_seconds
from tests.benchmarks.autoscaling.hpa import DEFAULT
from tests.benchmarks.autoscaling.measured import STEPS, Readings, Service, services
from tests.benchmarks.autoscaling.replay import FIRST_REPLICAS, Circumstances, Outcome, Setup, Trigger, replay
from tests.benchmarks.autoscaling.signals import SENT_IN_VAIN, Look, Scraped, Scraping

RAMP = [step / STEPS for step in range(STEPS + 1)]
SERVICE = Service(
    name="text",
    capacity=100.0,
    goodput=1.0,
    late=0.0,
    first_answer_seconds=2.0,
    readings=Readings(
        queue_seconds=[0.3 * each for each in RAMP], in_flight=[40 * each for each in RAMP], cpu_cores=RAMP
    ),
)
SCRAPING = Scraping(scrape_seconds=10, window_seconds=60, rules_seconds=5)


def fleet(ready: int) -> Fleet:
    return Fleet(service=SERVICE, start_seconds=20.0, ready=ready)


def serve(found: Fleet, rate: float, now: float = 0.0, seconds: int = BLOCK_SECONDS) -> float:
    return found.serve([rate] * seconds, rate * seconds, rate, now)


def setup(*triggers: Trigger, least: int = 2) -> Setup:
    return Setup(triggers=triggers, behavior=DEFAULT, scraping=SCRAPING, min_replicas=least)


def outcome(rates: list[float], found: Setup, circumstances: Circumstances | None = None) -> Outcome:
    return replay(SERVICE, from_seconds(rates), found, circumstances)


def test_within_capacity_nothing_is_lost() -> None:
    found = fleet(2)
    assert serve(found, 200.0) == 1.0
    assert found.counts.offered == 1000.0
    assert found.counts.refused == 0.0


def test_under_overload_the_capacity_is_answered_and_the_rest_refused() -> None:
    found = fleet(2)
    for block in range(20):
        serve(found, 800.0, now=block * BLOCK_SECONDS)
    waiting = 200 * 0.5 / 1.15
    assert found.counts.refused == pytest.approx(100 * 600 - waiting)
    assert found.counts.late == 0.0


def test_a_second_above_capacity_waits_where_deadlines_allow() -> None:
    found = fleet(1)
    found.serve([130.0, 70.0, 100.0, 100.0, 100.0], 500.0, 130.0, 0.0)
    assert found.counts.refused == 0.0


def test_what_was_measured_under_overload_bounds_goodput() -> None:
    slow = Service(**{**{name: getattr(SERVICE, name) for name in SERVICE.__dataclass_fields__}, "goodput": 0.5})
    found = Fleet(service=slow, start_seconds=20.0, ready=1)
    for block in range(20):
        serve(found, 400.0, now=block * BLOCK_SECONDS)
    assert found.counts.refused == pytest.approx(100 * 350, rel=0.01)


def test_a_replica_serves_once_it_has_started_and_is_paid_from_its_creation() -> None:
    found = fleet(1)
    found.scale(2, 0.0)
    assert serve(found, 200.0, now=15.0) == 2.0
    assert serve(found, 200.0, now=20.0) == 1.0
    assert found.replica_seconds == 2 * 2 * BLOCK_SECONDS


def test_replicas_that_are_not_ready_go_first() -> None:
    found = fleet(3)
    found.scale(5, 0.0)
    found.scale(3, 5.0)
    assert (found.ready, found.starting) == (3, 0)
    found.scale(1, 5.0)
    assert (found.ready, found.starting) == (1, 0)


def look(load: float, ready: int = 10, blocks: int = 60) -> Look:
    scraped = Scraped(service=SERVICE, believed_capacity=SERVICE.capacity)
    for _ in range(blocks):
        scraped.note(load, load * ready * SERVICE.capacity * BLOCK_SECONDS, ready, 0)
    return Look(scraped=scraped, scraping=SCRAPING, replicas=ready, ready=ready)


def test_offered_load_is_read_however_much_is_refused() -> None:
    assert [look(load).offered() for load in (0.5, 1.0, 4.0, 10.0)] == pytest.approx([5.0, 10.0, 40.0, 100.0])


def test_what_services_count_themselves_queue_time_calls_in_flight_and_cpu_saturate() -> None:
    full, flooded = look(1.5), look(10.0)
    reads = (Look.queue_time, Look.backlog, Look.in_flight, Look.cpu)
    assert look(4.0).arrived() == pytest.approx(10 * (1 + SENT_IN_VAIN))
    assert full.arrived() == pytest.approx(flooded.arrived())
    assert [read(full) for read in reads] == [read(flooded) for read in reads]


def test_a_step_is_seen_in_full_only_when_the_window_has_passed() -> None:
    scraped = Scraped(service=SERVICE, believed_capacity=SERVICE.capacity)
    seen = []
    for block in range(60):
        items = (100.0 if block < 30 else 1000.0) * BLOCK_SECONDS
        scraped.note(1.0, items, 10, 0)
        seen.append(Look(scraped=scraped, scraping=SCRAPING, replicas=10, ready=10).offered())
    assert seen[29] == seen[32] == pytest.approx(1.0)  # the last scrape is three blocks old
    assert seen[33] == pytest.approx(1.9)
    assert seen[41] == pytest.approx(9.1)
    assert seen[42] == pytest.approx(10.0)


def test_a_new_replicas_first_items_are_in_no_rate() -> None:
    scraped = Scraped(service=SERVICE, believed_capacity=SERVICE.capacity)
    scraped.note(1.0, 1000.0, 4, 1)
    assert scraped.offered[-1] == 750.0


def test_without_replicas_no_signal_sees_that_somebody_calls() -> None:
    asleep = outcome([0.0] * 1200 + [50.0] * 1200, setup(Trigger(signal="offered", target=0.7), least=0))
    assert asleep.replicas[-1] == 0
    assert asleep.counts.refused == 1200 * 50


def test_steady_load_gets_the_replicas_of_the_formula() -> None:
    found = outcome([700.0] * 1800, setup(Trigger(signal="offered", target=0.7)))
    assert found.replicas[0] == FIRST_REPLICAS
    assert found.replicas[-1] == 10
    assert outcome([700.0] * 1800, setup(Trigger(signal="offered", target=0.5))).replicas[-1] == 14


def test_queue_time_as_second_trigger_finds_replicas_that_claim_too_much() -> None:
    rates, slower = [700.0] * 3600, Circumstances(overstated=2.0)
    offered, queue = Trigger(signal="offered", target=0.7), Trigger(signal="backlog", target=0.1)
    assert outcome(rates, setup(offered), slower).replicas[-1] == 5
    assert outcome(rates, setup(offered, queue), slower).replicas[-1] >= 7


def test_the_same_seed_is_the_same_day_and_another_one_is_not() -> None:
    assert day(100.0, seed=1, seconds=600).totals == day(100.0, seed=1, seconds=600).totals
    assert day(100.0, seed=1, seconds=600).totals != day(100.0, seed=2, seconds=600).totals


def test_a_day_has_a_night_and_a_flash_crowd_of_ten_times_the_load() -> None:
    usual, flooded = day(100.0, seed=3, flash=False), day(100.0, seed=3)
    at = flooded.flash_at // BLOCK_SECONDS + 60
    ratio = sum(flooded.totals[at : at + 60]) / sum(usual.totals[at : at + 60])
    assert ratio == pytest.approx(FLASH_FACTOR, rel=0.02)
    assert sum(usual.totals[2880:3000]) < 0.5 * sum(usual.totals[11520:11640])


def test_what_was_measured_rises_from_nothing_to_its_value_under_overload() -> None:
    found = services()
    assert [each.name for each in found] == ["text", "classification", "generation"]
    for each in found:
        assert each.capacity > 50
        assert 0.9 < each.goodput <= 1.0
        assert start_seconds(each) > start_seconds(each, 0.0) > each.first_answer_seconds
        for table in (each.readings.queue_seconds, each.readings.in_flight, each.readings.cpu_cores):
            assert len(table) == STEPS + 1
            assert table[0] == 0.0
            assert table[STEPS] == max(table)
        assert each.readings.queue_seconds[STEPS] < 0.5
