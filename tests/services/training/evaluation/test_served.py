"""Models behind their predictors: batches, failures, and what model.toml says of their training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from services.training.evaluation.served import LOADS, answers, load_served, model_directories, training_facts
from services.training.tiny import write_tiny_models
from shared.codes import Reason
from shared.errors import ConfigurationError
from shared.inference.predictor import Failure, RuntimeOptions
from tests.services.training.evaluation.fakes import Fake


class Counting(Fake):
    """Answers with the size of the batch; nothing for 13."""

    def predict(self, batch: Sequence[int], /) -> list[int | Failure]:
        failure = Failure(reason=Reason.IMAGE_DAMAGED, message="is unlucky")
        return [failure if item == 13 else len(batch) for item in batch]


def test_items_are_answered_in_the_largest_batches() -> None:
    assert list(answers(Counting(), range(10))) == [4, 4, 4, 4, 4, 4, 4, 4, 2, 2]


def test_item_without_an_answer_ends_the_measurement() -> None:
    with pytest.raises(ConfigurationError, match="model fake gives no answer: is unlucky"):
        list(answers(Counting(), [13]))


def test_tiny_models_answer_from_end_to_end(tmp_path: Path) -> None:
    directories = write_tiny_models(tmp_path)
    models = load_served(directories, RuntimeOptions(device="cpu", precision="fp32", threads=1))
    texts = models.encode_texts(["a cat", "一只猫", "a dog"])
    assert texts.shape == (3, 32) and np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    painted = list(models.paint(texts, [1, 2, 3]))
    assert painted[0].shape == (models.generation.info.image_side,) * 2 + (3,)
    encodings = models.encode_pictures(painted)
    assert len(models.caption(encodings, "zh")) == 3
    assert [answer["concept"][0].id in models.concepts() for answer in models.classify(painted)] == [True] * 3


def test_embedded_models_are_the_default() -> None:
    assert set(model_directories(None)) == set(LOADS)
    assert all((folder / "model.toml").is_file() for folder in model_directories(None).values())
    assert model_directories(Path("own"))["text"] == Path("own/text")


def test_evaluation_repeats_how_models_were_trained() -> None:
    facts = training_facts(model_directories(None))
    assert facts["generation"]["steps"] > 0 and len(facts["text"]["sha256"]) == 64


def test_models_that_are_not_there_have_no_facts(tmp_path: Path) -> None:
    assert training_facts(model_directories(tmp_path)) == {}
