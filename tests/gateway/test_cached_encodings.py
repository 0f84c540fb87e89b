"""Remembered encodings over real sockets: what reaches the text service, and that rollouts never mix models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
import pytest_asyncio

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from shared.errors import CallError, InvalidArgumentError
from shared.rpc.status import from_rpc_error
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import PATIENT, Platform, running_platform
from tests.gateway.sharing import sample, services_are_known, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
REMEMBERING: GatewaySettings = PATIENT.model_copy(update={"encoding_cache_bytes": 1_000_000})


@pytest_asyncio.fixture(loop_scope="session")
async def remembering() -> AsyncIterator[Platform]:
    """A platform whose gateway has remembered nothing yet."""
    async with running_platform(REMEMBERING) as platform:
        await services_are_known(platform)
        yield platform


def _asked(platform: Platform, replica: int = 0) -> list[list[str]]:
    return [list(call.request.texts) for call in platform.text[replica].calls]


async def _encode(platform: Platform, *texts: str, space: str = "") -> gateway_pb2.EncodeTextResponse:
    return await platform.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=texts, space=space), timeout=40)


def _points(answer: gateway_pb2.EncodeTextResponse) -> Sequence[float]:
    return [encoding.vector[0] for encoding in answer.encodings]


async def test_prompt_is_encoded_once_and_painted_as_often_as_asked(remembering: Platform) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7])
    first = await remembering.stub.TextToImage(request)
    second = await remembering.stub.TextToImage(request)
    assert _asked(remembering) == [["a cat"]]
    assert len(remembering.generation[0].calls) == 2
    assert first.images[0] == second.images[0]


async def test_only_unknown_texts_of_a_batch_are_encoded_and_all_come_back_in_order(remembering: Platform) -> None:
    await _encode(remembering, "1", "333")
    answer = await _encode(remembering, "22", "333", "4444", "1", "22")
    assert _asked(remembering) == [["1", "333"], ["22", "4444"]]
    assert _points(answer) == [2.0, 3.0, 4.0, 1.0, 2.0]


async def test_stage_of_remembered_encodings_names_the_model_and_no_time_of_any_service(remembering: Platform) -> None:
    [asked] = (await _encode(remembering, "a cat")).stages
    [remembered] = (await _encode(remembering, "a cat")).stages
    assert (remembered.method, remembered.model) == (asked.method, asked.model)
    assert asked.HasField("timings") and not remembered.HasField("timings")
    assert remembered.elapsed_seconds > 0


async def test_stage_of_a_batch_known_in_part_tells_the_time_of_the_rest(remembering: Platform) -> None:
    [asked] = (await _encode(remembering, "1")).stages
    [partly] = (await _encode(remembering, "1", "22")).stages
    assert partly.timings == asked.timings


async def test_refused_text_is_named_by_its_place_among_all(remembering: Platform) -> None:
    await _encode(remembering, "1", "333")
    remembering.text[0].behaviour.error = lambda: InvalidArgumentError("texts[1] is rude", field="texts[1]")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _encode(remembering, "1", "22", "333", "4444")
    error: CallError = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == ("texts[3]", "texts[3] is rude")


async def test_refused_text_is_not_remembered(remembering: Platform) -> None:
    remembering.text[0].behaviour.error = lambda: InvalidArgumentError("texts[0] is rude", field="texts[0]")
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await _encode(remembering, "a cat")
    assert len(_asked(remembering)) == 2


async def test_hits_and_misses_are_counted_by_text(remembering: Platform) -> None:
    await _encode(remembering, "1", "22")
    await _encode(remembering, "22", "333", "1")
    counts = [sample(remembering, f"diptych_encoding_cache_{name}_total") for name in ("hits", "misses", "evicted")]
    assert counts == [2.0, 3.0, 0.0]
    assert 0 < sample(remembering, "diptych_encoding_cache_bytes") < 1_000_000


async def test_new_weights_are_heard_from_their_first_moment(remembering: Platform) -> None:
    await _encode(remembering, "a cat")
    text = remembering.text[0]
    await text.stop()
    text.behaviour = Behaviour(digest="e" * 64)
    await text.start()
    answer = await _encode(remembering, "a cat")
    assert answer.stages[0].model.digest == "e" * 64
    assert _asked(remembering) == [["a cat"]]


async def test_nothing_is_remembered_aloud_while_the_text_service_is_down(remembering: Platform) -> None:
    await _encode(remembering, "a cat")
    await remembering.text[0].stop()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await remembering.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a cat"]), timeout=2)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_encoding_of_another_space_is_not_used() -> None:
    behaviours = [Behaviour(space="old", digest="d" * 64), Behaviour(space="new", digest="e" * 64)]
    async with running_platform(REMEMBERING, text=behaviours) as platform:
        await until(lambda: platform.registry.get_sample_value(
            "diptych_replicas", {"service": "text", "state": "serving"}) == 2)  # fmt: skip
        for space in ("old", "new", "old", "new"):
            answer = await _encode(platform, "a cat", space=space)
            assert {answer.encodings[0].space, answer.stages[0].model.space} == {space}
        assert [_asked(platform, replica) for replica in range(2)] == [[["a cat"]]] * 2


async def test_answer_is_never_of_two_models() -> None:
    """Two replicas of one space with different weights, as while new ones are rolled out that kept their space."""
    behaviours = [Behaviour(digest="d" * 64), Behaviour(digest="e" * 64)]
    async with running_platform(REMEMBERING, text=behaviours) as platform:
        await until(lambda: platform.registry.get_sample_value(
            "diptych_replicas", {"service": "text", "state": "serving"}) == 2)  # fmt: skip
        for index in range(30):
            before = [len(fake.calls) for fake in platform.text]
            texts = [str(10**power) for power in range(index % 5 + 1)]
            answer = await _encode(platform, *texts)
            assert _points(answer) == [len(text) for text in texts]
            for replica, fake in enumerate(platform.text):
                for call in fake.calls[before[replica] :]:
                    assert list(call.request.texts) == texts
                    assert answer.stages[0].model.digest == fake.behaviour.digest
