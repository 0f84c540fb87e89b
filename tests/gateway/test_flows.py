"""The flows over in-memory ports: joint spaces, and what happens when one goes away between two calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from diptych.generation.v1 import generation_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2, model_pb2
from gateway import flows
from gateway.ports import Answer, ModelService
from shared.errors import FailedPreconditionError, InvalidArgumentError, UnavailableError


@dataclass
class MemoryEncoder:
    """A text encoder whose encodings are of the space it is asked for."""

    served: Mapping[str, int]
    name: str = "text"
    asked: list[str | None] = field(default_factory=list)

    def spaces(self) -> Mapping[str, int]:
        return self.served

    async def encode_text(
        self, texts: Sequence[str], *, space: str | None
    ) -> Answer[text_encoding_pb2.EncodeTextResponse]:
        self.asked.append(space)
        encodings = [encoding_pb2.Encoding(space=space or "any", vector=[len(text)]) for text in texts]
        return Answer(message=text_encoding_pb2.EncodeTextResponse(encodings=encodings), stage=_stage("encode"))


@dataclass
class MemoryGenerator:
    """A generator that paints nothing; `before` runs first and may raise."""

    served: Mapping[str, int]
    name: str = "generation"
    before: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    def spaces(self) -> Mapping[str, int]:
        return self.served

    async def generate_image(
        self, encoding: encoding_pb2.Encoding, *, seeds: Sequence[int]
    ) -> Answer[generation_pb2.GenerateImageResponse]:
        self.asked.append(encoding.space)
        self.before()
        images = [generation_pb2.GeneratedImage(seed=seed) for seed in seeds]
        return Answer(message=generation_pb2.GenerateImageResponse(images=images), stage=_stage("generate"))


def _stage(method: str) -> model_pb2.Stage:
    return model_pb2.Stage(method=method)


async def _seeds(encoder: MemoryEncoder, generator: MemoryGenerator) -> list[int]:
    answer = await flows.text_to_image("a cat", seeds=[1, 2], encoder=encoder, generator=generator)
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
    assert flows.shared_spaces(services) == {"new": 1, "old": 1}


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


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("encodings[3]", "images[3]"),
        ("encodings", "images"),
        ("encodings_of", "encodings_of"),
        ("language", "language"),
    ],
)
def test_field_paths_are_renamed_whole(theirs: str, ours: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught, flows.renamed_fields({"encodings": "images"}):
        raise InvalidArgumentError(f"{theirs} is wrong", field=theirs)
    assert (caught.value.field, str(caught.value)) == (ours, f"{ours} is wrong")
