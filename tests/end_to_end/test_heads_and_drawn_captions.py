"""Heads of the classifier and captions that are drawn, over real services."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import sampling_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc.status import from_rpc_error
from tests.end_to_end.calls import CALL_SECONDS, Connect
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file

ImageToText, ClassifyImage = gateway_pb2.ImageToTextRequest, gateway_pb2.ClassifyImageRequest


async def test_heads_that_are_told_are_answered_and_others_refused_by_name(
    platform: Platform, connect: Connect
) -> None:
    gateway = connect(platform.gateway).gateway
    told = await gateway.GetCapabilities(gateway_pb2.GetCapabilitiesRequest(), timeout=CALL_SECONDS)
    [model] = next(each for each in told.services if each.name == "classification").models
    assert [(head.name, head.label_count) for head in model.heads] == [("concept", len(model.labels))]

    answer = await gateway.ClassifyImage(ClassifyImage(images=[picture_file()], heads=["concept"]))
    [head] = answer.results[0].heads
    assert (head.head, list(head.labels)) == ("concept", list(answer.results[0].labels))

    for call in (gateway.ClassifyImage(ClassifyImage(images=[picture_file()], heads=["concept", "objects"])),
                 gateway.ImageToText(ImageToText(images=[picture_file()], heads=["concept", "objects"]))):  # fmt: skip
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = from_rpc_error(caught.value)
        assert isinstance(error, InvalidArgumentError)
        assert (error.field, error.reason) == ("heads[1]", Reason.FIELD_INVALID)


async def test_description_says_what_the_picture_is_of(platform: Platform, connect: Connect) -> None:
    answer = await connect(platform.gateway).gateway.ImageToText(ImageToText(images=[picture_file()]))
    [described] = answer.descriptions
    assert [head.head for head in described.heads] == ["concept"]
    assert list(described.heads[0].labels) == list(described.labels)


async def test_same_seed_draws_the_same_captions_alone_and_beside_other_pictures(
    platform: Platform, connect: Connect
) -> None:
    gateway = connect(platform.gateway).gateway
    files = [picture_file("PNG"), picture_file("JPEG"), picture_file("GIF")]

    async def drawn(images: list[bytes], seed: int | None) -> tuple[int, list[list[tuple[str, float]]]]:
        sampling = sampling_pb2.CaptionSampling(seed=seed, temperature=2.0)
        answer = await gateway.ImageToText(
            ImageToText(images=images, candidates=4, sampling=sampling), timeout=CALL_SECONDS
        )
        return answer.seed, [[(one.text, one.score) for one in each.captions] for each in answer.descriptions]

    seed, together = await drawn(files, None)
    assert await drawn(files, seed) == (seed, near(together))
    assert [(await drawn([file], seed))[1][0] for file in files] == near(together)
    assert (await drawn(files, seed + 1))[1] != near(together)


def near(captions: list[list[tuple[str, float]]]) -> list[list[tuple[str, Any]]]:
    """The same words with about the same scores: sums of a batch of another size differ in their last bits."""
    return [[(text, pytest.approx(score, abs=1e-5)) for text, score in each] for each in captions]
