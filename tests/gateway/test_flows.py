"""The flows over services in memory: choosing, streaming, labels of the caller's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from diptych.generation.v1 import generation_pb2
from diptych.types.v1 import encoding_pb2, image_pb2
from gateway import flows
from gateway.painting import Painting
from gateway.ports import Answer
from shared.errors import InvalidArgumentError, UnavailableError
from tests.gateway.memory_services import MemoryClassifier, MemoryEncoder, MemoryGenerator, painters

SPACE = {"old": 1}
CHOICE = Painting(prompt="a cat", seeds=[30, 90, 60], keep=2)
"""Of MemoryClassifier's eyes, 90 is nearest to the prompt, then 60."""


@dataclass
class LosesItsSpace(MemoryGenerator):
    """Paints seed 0; meanwhile its last replica goes away."""

    async def generate_image(
        self,
        encoding: encoding_pb2.Encoding,
        *,
        seeds: Sequence[int],
        file_format: image_pb2.ImageFormat.ValueType,
        quality: int,
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        answer = await super().generate_image(encoding, seeds=seeds, file_format=file_format, quality=quality)
        if seeds != [0]:
            await asyncio.sleep(0.05)
            self.served = {"new": 1}
            raise UnavailableError("generation: no replica of space old is serving")
        return answer


async def test_candidates_come_back_nearest_first_with_their_similarity() -> None:
    services = painters(MemoryEncoder(SPACE), MemoryGenerator(SPACE), MemoryClassifier(SPACE))
    answer = await flows.text_to_image(CHOICE, services)
    assert [each.seed for each in answer.images] == [90, 60]
    assert [each.similarity for each in answer.images] == pytest.approx([0.9, 0.6])
    assert [stage.method for stage in answer.stages] == ["encode", "generate", "classify"]


async def test_without_candidates_nothing_is_compared() -> None:
    classifier = MemoryClassifier(SPACE)
    services = painters(MemoryEncoder(SPACE), MemoryGenerator(SPACE), classifier)
    answer = await flows.text_to_image(Painting(prompt="a cat", seeds=[30, 90]), services)
    assert not any(each.HasField("similarity") for each in answer.images)
    assert classifier.asked == []


async def test_candidates_need_a_space_that_classification_serves_too() -> None:
    services = painters(
        MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1, "new": 1}), MemoryClassifier({"new": 1})
    )
    await flows.text_to_image(CHOICE, services)
    assert services.generator.asked == ["new"]  # type: ignore[attr-defined]


async def test_stream_sends_each_picture_when_it_is_ready_with_its_place() -> None:
    generator = MemoryGenerator(SPACE, seconds=lambda seed: {7: 0.1, 8: 0.0, 9: 0.05}[seed])
    services = painters(MemoryEncoder(SPACE), generator)
    messages = [each async for each in flows.stream_text_to_image(Painting(prompt="x", seeds=[7, 8, 9]), services)]
    assert [(each.index, each.image.seed) for each in messages] == [(1, 8), (2, 9), (0, 7)]
    assert [stage.method for stage in messages[0].stages] == ["encode", "generate"]


async def test_stream_of_candidates_comes_by_rank() -> None:
    services = painters(MemoryEncoder(SPACE), MemoryGenerator(SPACE), MemoryClassifier(SPACE))
    messages = [each async for each in flows.stream_text_to_image(CHOICE, services)]
    assert [(each.index, each.image.seed) for each in messages] == [(0, 90), (1, 60)]


async def test_closed_stream_cancels_every_call_under_way() -> None:
    generator = MemoryGenerator(SPACE, seconds=lambda seed: 30.0 * bool(seed))
    async with aclosing(
        flows.stream_text_to_image(Painting(prompt="x", seeds=[0, 1, 2]), painters(MemoryEncoder(SPACE), generator))
    ) as messages:
        async for _ in messages:
            break
    assert sorted(generator.cancelled) == [1, 2]


async def test_failing_picture_ends_the_stream_and_cancels_the_others() -> None:
    generator = MemoryGenerator(SPACE, seconds=lambda seed: 30.0)
    calls = iter(range(3))

    def fail_second() -> None:
        if next(calls) == 1:
            raise InvalidArgumentError("seeds[0] is odd", field="seeds[0]")

    generator.before = fail_second
    with pytest.raises(InvalidArgumentError):
        async for _ in flows.stream_text_to_image(
            Painting(prompt="x", seeds=[1, 2, 3]), painters(MemoryEncoder(SPACE), generator)
        ):
            pass
    assert set(generator.cancelled) <= {1, 3}
    assert not [task for task in asyncio.all_tasks() if "paint" in repr(task.get_coro())]


async def test_stream_that_loses_its_space_before_the_first_picture_begins_anew() -> None:
    encoder, generator = MemoryEncoder({"old": 1, "new": 1}), MemoryGenerator({"old": 1})

    def lost() -> None:
        if "new" not in generator.served:
            generator.served = {"new": 1}
            raise UnavailableError("generation: no replica of space old is serving")

    generator.before = lost
    services = painters(encoder, generator)
    messages = [each async for each in flows.stream_text_to_image(Painting(prompt="x", seeds=[1]), services)]
    assert len(messages) == 1
    assert encoder.asked == ["old", "new"]


async def test_stream_never_changes_its_space_after_the_first_picture() -> None:
    encoder = MemoryEncoder({"old": 1, "new": 1})
    services = painters(encoder, LosesItsSpace({"old": 1}))
    stream = flows.stream_text_to_image(Painting(prompt="x", seeds=[0, 1]), services)
    assert (await anext(stream)).image.seed == 0
    with pytest.raises(UnavailableError):
        await anext(stream)
    assert encoder.asked == ["old"]


async def test_many_labels_are_encoded_in_parts_at_once() -> None:
    encoder, classifier = MemoryEncoder(SPACE), MemoryClassifier(SPACE)
    labels = [f"label {index}" for index in range(150)]
    answer = await flows.classify_image_by_labels(
        [b"1"], labels, language="", top_k=0, texts_a_call=64, encoder=encoder, classifier=classifier
    )
    assert [len(texts) for texts in encoder.texts] == [64, 64, 22]
    assert [label.text for label in answer.results[0].labels] == labels
    assert [stage.method for stage in answer.stages] == ["encode"] * 3 + ["classify"]


async def test_as_many_labels_come_back_as_are_wanted() -> None:
    answer = await flows.classify_image_by_labels(
        [b"1"], ["a", "b", "b"], language="", top_k=2, texts_a_call=64,
        encoder=MemoryEncoder(SPACE), classifier=MemoryClassifier(SPACE),
    )  # fmt: skip
    assert [label.text for label in answer.results[0].labels] == ["a", "b"]
