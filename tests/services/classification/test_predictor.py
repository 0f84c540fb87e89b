"""Picture files become labels by falling probability and encodings; a bad file fails alone."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from services.classification.items import ClassifiedImage, ImageItem
from services.classification.predictor import ClassificationPredictor, load
from shared.codes import Code, Reason
from shared.errors import ModelDirectoryError
from shared.inference.predictor import Failure, RuntimeOptions


def item(
    seed: int = 0,
    *,
    top_k: int = 5,
    language: str = "en",
    include_encoding: bool = True,
    heads: tuple[str, ...] = (),
) -> ImageItem:
    pixels = np.random.default_rng(seed).integers(0, 256, (48, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return ImageItem(
        image=file.getvalue(), top_k=top_k, language=language, include_encoding=include_encoding, heads=heads
    )


def answered(answer: ClassifiedImage | Failure) -> ClassifiedImage:
    assert isinstance(answer, ClassifiedImage), answer
    return answer


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def predictor(tiny_models: dict[str, Path], request: pytest.FixtureRequest) -> ClassificationPredictor:
    loaded = load(tiny_models["classification"], RuntimeOptions(device="cpu", precision=request.param))
    loaded.warmup()
    return loaded


def test_probabilities_fall_and_add_up_to_one(predictor: ClassificationPredictor) -> None:
    labels = answered(predictor.predict([item(top_k=99)])[0]).labels
    probabilities = [label.probability for label in labels]
    assert len(labels) == 4
    assert probabilities == sorted(probabilities, reverse=True)
    assert abs(sum(probabilities) - 1) < 1e-5


def test_labels_speak_the_language_asked_for(predictor: ClassificationPredictor) -> None:
    english, chinese = (answered(answer) for answer in predictor.predict([item(top_k=4), item(top_k=4, language="zh")]))
    assert {label.text for label in english.labels} == {"cat", "dog", "house", "apple"}
    assert {label.text for label in chinese.labels} == {"猫", "狗", "房子", "苹果"}
    assert [label.id for label in english.labels] == [label.id for label in chinese.labels]


def test_encoding_has_a_unit_vector_and_finite_tokens(predictor: ClassificationPredictor) -> None:
    encoding = answered(predictor.predict([item()])[0]).encoding
    assert encoding is not None
    assert abs(np.linalg.norm(np.frombuffer(encoding.vector, "<f4")) - 1) < 1e-5
    tokens = np.frombuffer(encoding.tokens, "<f2").reshape(4, encoding.token_width)
    assert encoding.token_width == 16
    assert np.isfinite(tokens).all()


def test_encoding_is_left_out_unless_asked_for(predictor: ClassificationPredictor) -> None:
    assert answered(predictor.predict([item(include_encoding=False)])[0]).encoding is None


def test_bad_items_fail_alone_and_the_order_is_kept(predictor: ClassificationPredictor) -> None:
    garbage = ImageItem(image=b"garbage", top_k=1, language="en", include_encoding=False)
    answers = predictor.predict([item(1), garbage, item(2), item(3, language="fr")])
    assert isinstance(answers[1], Failure) and "is not a picture" in answers[1].message
    assert isinstance(answers[3], Failure) and "labels in en, zh" in answers[3].message
    assert {answers[1].reason.code, answers[3].reason.code} == {Code.INVALID_ARGUMENT}
    for place, seed in ((0, 1), (2, 2)):
        alone = answered(predictor.predict([item(seed)])[0])
        found = answered(answers[place])
        assert [label.id for label in found.labels] == [label.id for label in alone.labels]


def test_batch_of_nothing_but_bad_items_is_answered(predictor: ClassificationPredictor) -> None:
    garbage = ImageItem(image=b"", top_k=1, language="en", include_encoding=False)
    assert all(isinstance(answer, Failure) for answer in predictor.predict([garbage, garbage]))


def test_labels_of_another_number_are_refused(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "classification"
    folder.mkdir()
    for file in tiny_models["classification"].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    toml = (folder / "model.toml").read_text().replace("concepts = 4", "concepts = 5")
    (folder / "model.toml").write_text(toml)
    with pytest.raises(ModelDirectoryError, match="expected 5 labels, found 4"):
        load(folder, RuntimeOptions(device="cpu"))


@pytest.mark.parametrize("part", ["all", "log_scale", "zero-shot scale"])
def test_output_that_is_not_a_number_is_an_internal_failure(tiny_models: dict[str, Path], part: str) -> None:
    broken = load(tiny_models["classification"], RuntimeOptions(device="cpu", precision="fp32"))
    for name, parameter in broken._model.named_parameters():
        if part in ("all", name.removeprefix("models.0.")):
            torch.nn.init.constant_(parameter, float("nan"))
    if part == "zero-shot scale":
        broken._zero_shot_scale = float("inf")
    labels = np.eye(2, 32, dtype="<f4")
    closed, open_set = item(), replace(item(), label_vectors=tuple(label.tobytes() for label in labels))
    answers = broken.predict([closed, open_set])
    failed = [isinstance(answer, Failure) and answer.reason is Reason.MODEL_OUTPUT_INVALID for answer in answers]
    assert failed == {"all": [True, True], "log_scale": [True, False], "zero-shot scale": [False, True]}[part]
