"""A model that knows no English answers calls that name no language, in its first one."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from diptych.gateway.v1 import gateway_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import Launcher


@pytest.fixture(params=[["zh"], []], ids=("Chinese alone", "no language"))
def stubs(
    request: pytest.FixtureRequest,
    platform: Platform,
    launcher: Launcher,
    tiny_models: dict[str, Path],
    tmp_path: Path,
    connect: Connect,
) -> Stubs:
    """A gateway over the shared platform with another classifier, of these languages."""
    models = shutil.copytree(tiny_models["classification"], tmp_path / "model")
    settings = models / "model.toml"
    settings.write_text(re.sub(r"(?m)^languages = .*", f"languages = {request.param}", settings.read_text()))
    classification = launcher.service("classification", model_directory=models)
    gateway = launcher.gateway(platform.targets(classification=classification.address))
    for server in (classification, gateway):
        server.wait_serving()
    return connect(gateway)


async def test_pictures_are_encoded_chosen_and_classified_without_english(stubs: Stubs) -> None:
    encode = gateway_pb2.EncodeImageRequest(images=[picture_file()])
    paint = gateway_pb2.TextToImageRequest(prompt="a cat", candidates=2)
    classify = gateway_pb2.ClassifyImageRequest(images=[picture_file()])

    encoded = await stubs.gateway.EncodeImage(encode, timeout=CALL_SECONDS)
    painted = await stubs.gateway.TextToImage(paint, timeout=CALL_SECONDS)
    classified = await stubs.gateway.ClassifyImage(classify, timeout=CALL_SECONDS)

    assert (len(encoded.encodings), len(painted.images)) == (1, 1)
    assert not any(re.search("[a-z]", label.text) for label in classified.results[0].labels)
