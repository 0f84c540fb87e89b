"""What is believed of a replica's load, and how long."""

from __future__ import annotations

import pytest

from shared.rpc import metadata
from shared.rpc.replica_load import BELIEVED_SECONDS, MAX_TERMS, REMEMBERED_SECONDS, ReplicaLoad

TERMS = ("someone", "interactive")
NOW = 1000.0


def _told(queue: float = 0.0, item: float = 0.0, answer: float = 0.0) -> ReplicaLoad:
    load = ReplicaLoad()
    load.note(_trailers(queue, item, answer), TERMS, NOW)
    return load


def _trailers(queue: float, item: float, answer: float) -> list[tuple[str, str | bytes]]:
    return [
        ("x-request-id", "1"),
        (metadata.QUEUE_SECONDS, str(queue)),
        (metadata.ITEM_SECONDS, str(item)),
        (metadata.ANSWER_SECONDS, str(answer)),
    ]


def test_nothing_told_is_no_queue_and_no_speed() -> None:
    load = ReplicaLoad()
    assert load.queue_seconds(NOW) == load.answer_seconds(TERMS, NOW) == 0.0
    assert load.item_seconds(NOW) is None


def test_queue_is_worked_off_as_time_passes() -> None:
    load = _told(queue=3.0)
    assert [load.queue_seconds(NOW + passed) for passed in (0.0, 1.0, 5.0)] == pytest.approx([3.0, 2.0, 0.0])


def test_time_to_an_answer_is_believed_for_a_moment_only() -> None:
    load = _told(queue=3.0, answer=4.0)
    assert load.answer_seconds(TERMS, NOW + BELIEVED_SECONDS / 2) == pytest.approx(4.0 - BELIEVED_SECONDS / 2)
    assert load.answer_seconds(TERMS, NOW + BELIEVED_SECONDS + 0.01) == 0.0


def test_replica_that_has_worked_off_its_queue_takes_anybody() -> None:
    assert _told(queue=0.0, answer=4.0).answer_seconds(TERMS, NOW) == 0.0


def test_word_for_one_caller_is_none_for_another() -> None:
    load = _told(queue=3.0, answer=4.0)
    assert load.answer_seconds(("someone else", "interactive"), NOW) == 0.0
    assert load.answer_seconds(("someone", "batch"), NOW) == 0.0


def test_speed_is_remembered_for_a_while() -> None:
    load = _told(item=0.04)
    assert load.item_seconds(NOW + REMEMBERED_SECONDS - 1) == 0.04
    assert load.item_seconds(NOW + REMEMBERED_SECONDS + 1) is None


def test_many_callers_take_bounded_room() -> None:
    load = ReplicaLoad()
    for number in range(5 * MAX_TERMS):
        load.note(_trailers(1.0, 0.01, 1.5), (str(number), "batch"), NOW)
    assert len(load._answer_at) <= MAX_TERMS
    assert load.answer_seconds((str(5 * MAX_TERMS - 1), "batch"), NOW) == 1.5


def test_trailer_that_is_no_number_teaches_nothing() -> None:
    load = _told(queue=3.0)
    load.note([(metadata.QUEUE_SECONDS, "soon")], TERMS, NOW)
    assert load.queue_seconds(NOW) == 3.0
