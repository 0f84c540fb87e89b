"""Labels of the caller's own over real services."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc.status import from_rpc_error
from tests.end_to_end.calls import CALL_SECONDS, Connect
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file

import grpc  # isort: skip

Request = gateway_pb2.ClassifyImageRequest


async def test_labels_come_back_as_they_came_with_probabilities_that_add_up(
    platform: Platform, connect: Connect
) -> None:
    labels = ["a cat", "一座房子", "an apple", "a cat"]

    answer = await connect(platform.gateway).gateway.ClassifyImage(
        Request(images=[picture_file("PNG"), picture_file("JPEG")], labels=labels), timeout=CALL_SECONDS
    )

    for result in answer.results:
        assert sorted(label.id for label in result.labels) == ["0", "1", "2", "3"]
        assert all(label.text == labels[int(label.id)] for label in result.labels)
        assert sum(label.probability for label in result.labels) == pytest.approx(1.0, abs=1e-3)
        chances = [label.probability for label in result.labels]
        assert chances == sorted(chances, reverse=True)
        equal = {label.probability for label in result.labels if label.text == "a cat"}
        assert max(equal) - min(equal) < 1e-6


async def test_256_labels_are_taken_in_one_call(platform: Platform, connect: Connect) -> None:
    labels = [f"thing {index}" for index in range(256)]

    answer = await connect(platform.gateway).gateway.ClassifyImage(
        Request(images=[picture_file()], labels=labels), timeout=CALL_SECONDS
    )

    assert {label.text for label in answer.results[0].labels} == set(labels)
    assert [stage.method.rpartition("/")[2] for stage in answer.stages] == ["EncodeText"] * 4 + ["ClassifyImage"]


async def test_bad_label_is_named_by_its_place(platform: Platform, connect: Connect) -> None:
    labels = ["a cat"] * 70 + [" "]

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect(platform.gateway).gateway.ClassifyImage(Request(images=[picture_file()], labels=labels))

    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == ("labels[70]", Reason.FIELD_MISSING)


async def test_the_likelier_label_does_not_depend_on_how_many_are_asked_for(
    platform: Platform, connect: Connect
) -> None:
    stub, images = connect(platform.gateway).gateway, [picture_file()]
    labels = ["a cat", "a dog", "a house"]

    every = await stub.ClassifyImage(Request(images=images, labels=labels), timeout=CALL_SECONDS)
    first = await stub.ClassifyImage(Request(images=images, labels=labels, top_k=1), timeout=CALL_SECONDS)

    assert [label.text for label in first.results[0].labels] == [every.results[0].labels[0].text]
