"""Texts become unit vectors that depend on nothing but the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from services.text.predictor import TextPredictor, load
from services.training.tiny import write_tiny_text_encoder
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import ModelDirectoryError
from shared.inference.predictor import Failure, RuntimeOptions


@pytest.fixture(scope="module")
def directories(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        "transformer": tiny_models["text"],
        "words": write_tiny_text_encoder(tmp_path_factory.mktemp("words"), word_layers=1),
        "lstm": write_tiny_text_encoder(tmp_path_factory.mktemp("lstm"), kind="lstm"),
    }


@pytest.fixture(
    scope="module",
    params=[(kind, precision) for kind in ("transformer", "words", "lstm") for precision in ("fp32", "bf16")],
    ids=" ".join,
)
def predictor(directories: dict[str, Path], request: pytest.FixtureRequest) -> TextPredictor:
    kind, precision = request.param
    loaded = load(directories[kind], RuntimeOptions(device="cpu", precision=precision))
    loaded.warmup()
    return loaded


def encoding_of(answer: Encoding | Failure) -> Encoding:
    assert isinstance(answer, Encoding), answer
    return answer


def test_vector_has_unit_norm_and_the_models_space(predictor: TextPredictor) -> None:
    encoding = encoding_of(predictor.predict(["a cat"])[0])
    vector = np.frombuffer(encoding.vector, "<f4")
    assert vector.shape == (32,)
    assert abs(np.linalg.norm(vector) - 1) < 1e-5
    assert encoding.space == predictor.info.space == "tiny"
    assert encoding.tokens == b""


def test_vector_is_the_same_alone_and_among_others(predictor: TextPredictor) -> None:
    texts = ["a cat", "一只猫", "a very long text " * 20, "a dog", "房子", "苹果", "an apple"]
    alone = [encoding_of(predictor.predict([text])[0]).vector for text in texts]
    assert [encoding_of(answer).vector for answer in predictor.predict(texts)] == alone
    assert [encoding_of(answer).vector for answer in predictor.predict(texts[::-1])] == alone[::-1]


def test_last_character_of_the_longest_text_still_counts(predictor: TextPredictor) -> None:
    for character in ("a", "猫"):
        one, other = predictor.predict([character * 500, character * 499 + "!"])
        assert encoding_of(one).vector != encoding_of(other).vector


def test_letter_case_does_not_matter(predictor: TextPredictor) -> None:
    one, other = predictor.predict(["A CAT", "a cat"])
    assert encoding_of(one).vector == encoding_of(other).vector


def test_blank_text_fails_alone(predictor: TextPredictor) -> None:
    first, blank, last = predictor.predict(["a cat", " \n", "a dog"])
    assert isinstance(blank, Failure) and blank.reason is Reason.FIELD_MISSING
    assert encoding_of(first).vector == encoding_of(predictor.predict(["a cat"])[0]).vector
    assert encoding_of(last).vector == encoding_of(predictor.predict(["a dog"])[0]).vector


def test_model_of_another_task_is_refused(tiny_models: dict[str, Path]) -> None:
    with pytest.raises(ModelDirectoryError, match="task: expected 'text', found 'generation'"):
        load(tiny_models["generation"], RuntimeOptions())


def test_output_that_is_not_a_number_is_an_internal_failure_of_that_text_alone(tiny_models: dict[str, Path]) -> None:
    broken = load(tiny_models["text"], RuntimeOptions(device="cpu", precision="fp32"))
    good = encoding_of(broken.predict(["a dog"])[0])
    with torch.no_grad():
        broken._model.embedding.weight[broken._tokenizer.encode("cat").ids] = float("nan")
    answers = broken.predict(["a dog", "cat", "a dog"])
    assert isinstance(answers[1], Failure) and answers[1].reason is Reason.MODEL_OUTPUT_INVALID
    assert [answers[0], answers[2]] == [good, good]
