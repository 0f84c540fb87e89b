"""Joint spaces: in which one a flow runs, and what happens when one goes away between two calls."""

from __future__ import annotations

import asyncio

import pytest

from gateway import flows
from gateway.painting import Painting
from gateway.ports import ModelService
from gateway.spaces import shared_spaces
from shared.codes import Reason
from shared.errors import CallError, FailedPreconditionError, OverloadedError, UnavailableError
from tests.gateway.memory_services import MemoryEncoder, MemoryGenerator, painters


async def _seeds(encoder: MemoryEncoder, generator: MemoryGenerator) -> list[int]:
    answer = await flows.text_to_image(Painting(prompt="a cat", seeds=[1, 2]), painters(encoder, generator))
    return [image.seed for image in answer.images]


async def test_both_services_are_called_in_the_space_they_share() -> None:
    encoder, generator = MemoryEncoder({"old": 3, "new": 1}), MemoryGenerator({"new": 1})
    assert await _seeds(encoder, generator) == [1, 2]
    assert (encoder.asked, generator.asked) == (["new"], ["new"])


async def test_every_shared_space_gets_its_share_of_calls() -> None:
    encoder, generator = MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1, "new": 1})
    for _ in range(100):
        await _seeds(encoder, generator)
    assert set(encoder.asked) == {"old", "new"}
    assert encoder.asked == generator.asked


def test_weight_of_a_space_is_the_replicas_of_its_weakest_service() -> None:
    services: list[ModelService] = [
        MemoryEncoder({"old": 3, "new": 1, "gone": 2}),
        MemoryGenerator({"old": 1, "new": 2}),
    ]
    assert shared_spaces(services) == {"new": 1, "old": 1}


async def test_no_shared_space_is_unavailable_and_names_what_each_serves() -> None:
    with pytest.raises(UnavailableError) as caught:
        await _seeds(MemoryEncoder({"old": 1}), MemoryGenerator({"new": 1}))
    message = "no joint space is served by every service this call needs (text: old; generation: new)"
    assert str(caught.value) == message


async def test_service_without_replicas_leaves_the_choice_to_the_others() -> None:
    encoder, generator = MemoryEncoder({"old": 1}), MemoryGenerator({})
    await _seeds(encoder, generator)
    assert generator.asked == ["old"]


async def test_without_any_replica_the_calls_are_made_all_the_same() -> None:
    encoder, generator = MemoryEncoder({}), MemoryGenerator({})
    await _seeds(encoder, generator)
    assert (encoder.asked, generator.asked) == ([None], ["any"])


async def test_flow_runs_once_more_when_a_replica_was_replaced_meanwhile() -> None:
    encoder, generator = MemoryEncoder({"old": 1}), MemoryGenerator({"old": 1})

    def replaced() -> None:
        if "new" not in generator.served:
            encoder.served = generator.served = {"new": 1}
            raise FailedPreconditionError("the encoding is of space 'old'; this model works in space 'new'")

    generator.before = replaced
    assert await _seeds(encoder, generator) == [1, 2]
    assert (encoder.asked, generator.asked) == (["old", "new"], ["old", "new"])


async def test_flow_runs_once_more_when_its_space_lost_the_last_replica() -> None:
    encoder, generator = MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1})

    def lost() -> None:
        if "new" not in generator.served:
            generator.served = {"new": 1}
            raise UnavailableError("generation: no replica of space old is serving")

    generator.before = lost
    await _seeds(encoder, generator)
    assert generator.asked == ["old", "new"]


async def test_flow_begun_in_the_dark_runs_once_more_with_what_it_learned() -> None:
    encoder, generator = MemoryEncoder({}), MemoryGenerator({})

    def lost() -> None:
        if not generator.served:
            encoder.served, generator.served = {"old": 1, "any": 1}, {"old": 1}
            raise UnavailableError("generation: no replica of space any is serving")

    generator.before = lost
    await _seeds(encoder, generator)
    assert generator.asked == ["any", "old"]


async def test_space_mismatch_that_stays_ends_the_flow() -> None:
    def refuse() -> None:
        raise FailedPreconditionError("wrong space")

    generator = MemoryGenerator({"old": 1}, before=refuse)
    with pytest.raises(FailedPreconditionError):
        await _seeds(MemoryEncoder({"old": 1}), generator)
    assert len(generator.asked) == 2


async def test_unavailable_service_whose_space_stands_is_not_asked_again() -> None:
    def refuse() -> None:
        raise UnavailableError("generation: connection refused")

    generator = MemoryGenerator({"old": 1}, before=refuse)
    with pytest.raises(UnavailableError):
        await _seeds(MemoryEncoder({"old": 1}), generator)
    assert len(generator.asked) == 1


async def test_call_whose_services_share_no_space_waits_for_one() -> None:
    encoder, generator = MemoryEncoder({"old": 1}), MemoryGenerator({"new": 1}, patience_seconds=20)
    call = asyncio.create_task(_seeds(encoder, generator))
    await asyncio.sleep(0)  # it waits
    generator.served = {"old": 1, "new": 1}
    generator.changed.set()
    assert await call == [1, 2]
    assert generator.asked == ["old"]


async def test_stream_waits_for_a_shared_space_as_well() -> None:
    encoder, generator = MemoryEncoder({"old": 1}, patience_seconds=20), MemoryGenerator({"new": 1})
    generator.patience_seconds = 20
    stream = flows.stream_text_to_image(Painting(prompt="a cat", seeds=[1]), painters(encoder, generator))
    call = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    encoder.served = {"new": 1}
    encoder.changed.set()
    assert (await call).image.seed == 1
    await stream.aclose()


async def test_of_several_shared_spaces_one_with_room_is_chosen() -> None:
    encoder = MemoryEncoder({"old": 9, "new": 1})
    generator = MemoryGenerator({"old": 9, "new": 1}, busy=["old"])
    for _ in range(20):
        await _seeds(encoder, generator)
    assert {*encoder.asked, *generator.asked} == {"new"}


async def test_call_that_has_room_in_no_space_is_refused() -> None:
    encoder = MemoryEncoder({"old": 1, "new": 1}, busy=["old"])
    generator = MemoryGenerator({"old": 1, "new": 1}, busy=["old", "new"])
    with pytest.raises(OverloadedError, match="generation: too late"):
        await _seeds(encoder, generator)


async def _refused(encoder: MemoryEncoder, generator: MemoryGenerator, space: str) -> CallError:
    with pytest.raises(CallError) as caught:
        await flows.text_to_image(Painting(prompt="a cat", seeds=[1], space=space), painters(encoder, generator))
    return caught.value


async def test_wanted_space_is_the_one_that_is_used() -> None:
    encoder, generator = MemoryEncoder({"old": 9, "new": 1}), MemoryGenerator({"old": 9, "new": 1})
    painting = Painting(prompt="a cat", seeds=[1], space="new")
    for _ in range(10):
        await flows.text_to_image(painting, painters(encoder, generator))
    assert {*encoder.asked, *generator.asked} == {"new"}


async def test_wanted_space_that_a_service_lacks_is_refused_and_told_what_is_served() -> None:
    error = await _refused(MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1, "older": 2}), "new")
    assert isinstance(error, FailedPreconditionError)
    assert error.reason is Reason.SPACE_NOT_SERVED
    assert str(error) == "generation: space 'new' is not served; served: old, older"


async def test_wanted_space_that_is_lost_meanwhile_is_not_exchanged_for_another() -> None:
    encoder, generator = MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1, "new": 1})

    def lost() -> None:
        generator.served = {"new": 1}
        raise UnavailableError("generation: no replica of space old is serving")

    generator.before = lost
    error = await _refused(encoder, generator, "old")
    assert error.reason is Reason.SPACE_NOT_SERVED
    assert generator.asked == ["old"]


async def test_wanted_space_of_a_replica_that_restarts_is_waited_for_and_not_refused() -> None:
    encoder, generator = MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"new": 1}, away=["old"])

    def down() -> None:
        raise UnavailableError("generation: no replica of space old is serving", reason=Reason.NO_REPLICA)

    generator.before = down
    assert (await _refused(encoder, generator, "old")).reason is Reason.NO_REPLICA
    assert generator.asked == ["old"]


async def test_wanted_space_of_a_service_that_is_down_is_unavailable_and_not_refused() -> None:
    encoder, generator = MemoryEncoder({"old": 1}), MemoryGenerator({})

    def down() -> None:
        raise UnavailableError("generation: no replica is serving", reason=Reason.NO_REPLICA)

    generator.before = down
    assert (await _refused(encoder, generator, "old")).reason is Reason.NO_REPLICA
