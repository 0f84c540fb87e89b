"""GenerateCaption: what goes to the model, what comes back, what is refused and in which words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.types.v1 import encoding_pb2, sampling_pb2
from services.captioning.items import CaptionItem, ScoredCaption
from services.captioning.servicer import CaptioningServicer
from services.captioning.settings import CaptioningSettings
from shared.codes import Reason
from shared.errors import FailedPreconditionError, InvalidArgumentError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.metrics import BatcherMetrics
from tests.services.serving import INFO, refused, serving


def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
    servicer = CaptioningServicer(batcher, info, CaptioningSettings())
    captioning_pb2_grpc.add_CaptioningServiceServicer_to_server(servicer, server)


def spell(item: CaptionItem) -> tuple[ScoredCaption, ...]:
    """The model: a caption is the tokens' bytes as letters, language and sampling; as many as are wanted."""
    how = "" if item.sampling is None else f" {item.sampling.seed} {item.sampling.temperature} {item.sampling.top_p}"
    return (ScoredCaption(text=f"{item.encoding.tokens.decode()} {item.language}{how}", score=-0.5),) * item.candidates


def caption(
    channel: grpc.aio.Channel,
    *tokens: bytes,
    language: str = "",
    space: str = "s1",
    candidates: int = 0,
    sampling: sampling_pb2.CaptionSampling | None = None,
) -> Any:
    stub: Any = captioning_pb2_grpc.CaptioningServiceStub(channel)
    encodings = [encoding_pb2.Encoding(space=space, vector=[1.0], tokens=each, token_width=1) for each in tokens]
    request = captioning_pb2.GenerateCaptionRequest(
        encodings=encodings, language=language, candidates=candidates, sampling=sampling
    )
    return stub.GenerateCaption(request, timeout=5)


async def test_encodings_are_described_in_order_in_the_language() -> None:
    async with serving(add, spell) as channel:
        english = await caption(channel, b"ab", b"cd")
        chinese = await caption(channel, b"ab", language="zh")
    assert [result.captions[0].text for result in english.results] == ["ab en", "cd en"]
    assert english.results[0].captions[0].score == -0.5
    assert chinese.results[0].captions[0].text == "ab zh"


async def test_captions_are_drawn_at_temperature_and_share_1_unless_others_are_said() -> None:
    async with serving(add, spell) as channel:
        plain = await caption(channel, b"ab", sampling=sampling_pb2.CaptionSampling())
        cold = await caption(channel, b"ab", sampling=sampling_pb2.CaptionSampling(seed=7, temperature=0.5, top_p=0.25))
    assert plain.results[0].captions[0].text == "ab en 0 1.0 1.0"
    assert cold.results[0].captions[0].text == "ab en 7 0.5 0.25"


@pytest.mark.parametrize(
    ("sampling", "field"), [({"temperature": 6}, "sampling.temperature"), ({"top_p": -0.5}, "sampling.top_p")]
)
async def test_temperature_or_share_out_of_range_is_refused(sampling: dict[str, float], field: str) -> None:
    async with serving(add, spell) as channel:
        error = await refused(caption(channel, b"ab", sampling=sampling_pb2.CaptionSampling(**sampling)))  # type: ignore[arg-type]
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == (field, Reason.FIELD_INVALID)


async def test_a_batch_has_one_number_of_beams() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def run(batch: Sequence[CaptionItem]) -> BatchResult[tuple[ScoredCaption, ...]]:
        batches.append([item.candidates for item in batch])
        await gate.wait()
        return BatchResult(outputs=[spell(item) for item in batch], inference_seconds=0.0)

    metrics = BatcherMetrics(CollectorRegistry())
    batcher: DynamicBatcher[CaptionItem, tuple[ScoredCaption, ...]] = DynamicBatcher(
        run, bucket_sizes=(1, 2, 4), max_queue_items=64, max_queue_bytes=1 << 20, metrics=metrics
    )
    servicer = CaptioningServicer(batcher, INFO, CaptioningSettings())
    context: Any = None
    async with batcher:
        calls = []
        for candidates in (1, 2, 1, 16, 4, 1, 3):
            request = captioning_pb2.GenerateCaptionRequest(
                encodings=[encoding_pb2.Encoding(space="s1", tokens=b"ab")], candidates=candidates
            )
            calls.append(asyncio.create_task(servicer.GenerateCaption(request, context)))
            await asyncio.sleep(0.001)
        gate.set()
        answers = await asyncio.gather(*calls)
    assert batches == [[1], [2, 4, 3], [1, 1], [16]]
    assert [len(answer.results[0].captions) for answer in answers] == [1, 2, 1, 16, 4, 1, 3]


@pytest.mark.parametrize(("candidates", "captions"), [(0, 1), (1, 1), (16, 16)])
async def test_as_many_candidates_as_wanted_and_one_by_default(candidates: int, captions: int) -> None:
    async with serving(add, spell) as channel:
        answer = await caption(channel, b"ab", b"cd", candidates=candidates)
    assert [len(result.captions) for result in answer.results] == [captions] * 2


async def test_too_many_candidates_are_refused_with_the_limit() -> None:
    async with serving(add, spell) as channel:
        error = await refused(caption(channel, b"ab", candidates=17))
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == ("candidates", Reason.TOO_MANY_ITEMS)
    assert str(error) == "candidates is 17; the limit is 16"


@pytest.mark.parametrize(
    ("count", "language", "field", "words"),
    [(0, "", "encodings", "0 elements"), (17, "", "encodings", "17 elements"), (1, "fr", "language", "'fr'")],
)
async def test_bad_input_names_field_value_and_limit(count: int, language: str, field: str, words: str) -> None:
    async with serving(add, spell) as channel:
        error = await refused(caption(channel, *[b"ab"] * count, language=language))
    assert isinstance(error, InvalidArgumentError)
    assert error.field == field
    assert words in str(error)


async def test_an_encoding_of_another_space_is_refused_naming_both() -> None:
    async with serving(add, spell) as channel:
        error = await refused(caption(channel, b"ab", space="s2"))
    assert isinstance(error, FailedPreconditionError)
    assert "'s1'" in str(error)
    assert "'s2'" in str(error)
