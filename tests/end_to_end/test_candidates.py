"""Candidates over real services: kept are those nearest to the prompt, as anybody can compute again."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs
from tests.end_to_end.conftest import Platform

PROMPT = "a dog"


async def _similarities(stubs: Stubs, files: list[bytes]) -> list[float]:
    """Cosines of files and prompt, by the calls that a user has."""
    texts = gateway_pb2.EncodeTextRequest(texts=[PROMPT])
    prompt = (await stubs.gateway.EncodeText(texts, timeout=CALL_SECONDS)).encodings[0]
    pictures = gateway_pb2.EncodeImageRequest(images=files, space=prompt.space)
    seen = (await stubs.gateway.EncodeImage(pictures, timeout=CALL_SECONDS)).encodings
    return [sum(a * b for a, b in zip(prompt.vector, each.vector, strict=True)) for each in seen]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_kept_pictures_are_the_nearest_and_their_similarity_is_that_of_the_file(
    name: str, platform: Platform, connect: Connect
) -> None:
    stubs = connect(platform.gateway)
    file_format = image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}")
    seeds = range(8)
    every = await stubs.gateway.TextToImage(
        gateway_pb2.TextToImageRequest(prompt=PROMPT, seeds=seeds, format=file_format), timeout=CALL_SECONDS
    )
    computed = dict(zip(seeds, await _similarities(stubs, [each.image.data for each in every.images]), strict=True))

    kept = await stubs.gateway.TextToImage(
        gateway_pb2.TextToImageRequest(prompt=PROMPT, seeds=seeds, candidates=8, image_count=3, format=file_format),
        timeout=CALL_SECONDS,
    )

    assert [each.similarity for each in kept.images] == pytest.approx(
        [computed[each.seed] for each in kept.images], abs=1e-4
    )
    assert [each.similarity for each in kept.images] == pytest.approx(sorted(computed.values())[:-4:-1], abs=1e-4)
    assert [stage.method.rpartition("/")[2] for stage in kept.stages] == [
        "EncodeText", "GenerateImage", "ClassifyImage"
    ]  # fmt: skip
