"""Each head answers for itself: calibrated, in its own labels; what a picture is of decides which one stands first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from services.classification.items import ClassifiedImage
from services.classification.predictor import ClassificationPredictor, load
from services.training.tiny import TINY_HEADS, write_tiny_classifier
from shared.errors import ModelDirectoryError
from shared.inference.predictor import RuntimeOptions
from tests.services.classification.test_predictor import answered, item

CPU = RuntimeOptions(device="cpu", precision="fp32")


@pytest.fixture
def predictor(tmp_path: Path) -> ClassificationPredictor:
    return load(write_tiny_classifier(tmp_path / "model"), CPU)


def classify(predictor: ClassificationPredictor, *heads: str, **fields: Any) -> ClassifiedImage:
    return answered(predictor.predict([item(heads=heads, **fields)])[0])


def favour(predictor: ClassificationPredictor, head: str, place: int, logit: float = 50.0) -> None:
    """Makes one label of a linear head what every picture shows."""
    with torch.no_grad():
        predictor._model.get_parameter(f"models.0.linear_heads.{head}.bias")[place] = logit


def test_heads_and_their_labels_are_told(predictor: ClassificationPredictor) -> None:
    told = {head.name: (head.multi_label, len(head.labels)) for head in predictor.info.heads}
    assert told == {
        "concept": (False, 4),
        "subgroup": (False, 3),
        "background": (False, 3),
        "objects": (True, 5),
        "colour": (True, 2),
        "style": (False, 2),
    }
    assert next(iter(told)) == "concept"
    assert len(predictor.info.labels) == 4


def test_every_head_answers_in_its_own_labels(predictor: ClassificationPredictor) -> None:
    answer = classify(predictor, *TINY_HEADS, top_k=99)
    assert {each.head: {label.id for label in each.labels} for each in answer.heads} == {
        head: set(labels) for head, labels in TINY_HEADS.items()
    }
    for each in answer.heads:
        probabilities = [label.probability for label in each.labels]
        assert probabilities == sorted(probabilities, reverse=True)
        assert (abs(sum(probabilities) - 1) < 1e-5) == (each.head not in ("objects", "colour"))
    assert answer.labels == answer.heads[0].labels


def test_top_k_holds_for_each_head(predictor: ClassificationPredictor) -> None:
    assert [len(each.labels) for each in classify(predictor, "objects", "concept", top_k=2).heads] == [2, 2]


def test_concept_is_answered_where_no_head_is_named(predictor: ClassificationPredictor) -> None:
    answer = classify(predictor)
    assert {label.id for label in answer.labels} <= {"cat", "dog", "house", "apple"}
    assert answer.heads == ()


def test_content_of_a_plain_drawing_is_its_concept(predictor: ClassificationPredictor) -> None:
    favour(predictor, "background", TINY_HEADS["background"].index("plain"))
    (content,) = classify(predictor, "content").heads
    assert (content.head, len(content.labels)) == ("concept", 4)


def test_content_of_a_scene_is_the_objects_that_are_likely_and_at_least_one(
    predictor: ClassificationPredictor,
) -> None:
    favour(predictor, "background", TINY_HEADS["background"].index("meadow"))
    (content,) = classify(predictor, "content").heads
    assert (content.head, len(content.labels)) == ("objects", 1)  # all are rare to a model that has learnt nothing
    with torch.no_grad():
        bias = predictor._model.get_parameter("models.0.dense_heads.labels.objects.bias")
        bias[torch.tensor([1, 4])] = 30.0
    content, objects = classify(predictor, "content", "objects").heads
    assert {label.id for label in content.labels} == {"dog", "moon"}
    assert len(objects.labels) == 5


def test_content_is_the_concept_of_a_model_that_knows_no_scenes(tiny_models: dict[str, Path]) -> None:
    predictor = load(tiny_models["classification"], CPU)
    answer = classify(predictor, "content")
    assert [each.head for each in answer.heads] == ["concept"]
    assert answer.labels == classify(predictor).labels


def test_temperature_divides_logits(tmp_path: Path) -> None:
    def odds(folder: str, **temperature: float) -> tuple[float, float]:
        directory = write_tiny_classifier(tmp_path / folder, serving={"temperature": temperature})
        concept, objects = classify(load(directory, CPU), "concept", "objects", top_k=2).heads
        first, second = (label.probability for label in concept.labels)
        (one, *_) = (label.probability for label in objects.labels)
        return torch.tensor(first / second).log().item(), torch.tensor(one).logit().item()

    plain, soft = odds("plain"), odds("soft", concept=2.0, objects=4.0)
    assert soft == pytest.approx((plain[0] / 2, plain[1] / 4), rel=1e-4)


def test_temperature_of_no_head_is_refused(tmp_path: Path) -> None:
    directory = write_tiny_classifier(tmp_path, serving={"temperature": {"shape": 2.0}})
    with pytest.raises(ModelDirectoryError, match=r"serving\.temperature\.shape: expected a head of concept, subgroup"):
        load(directory, CPU)


def test_not_a_number_in_a_head_fails_only_those_who_ask_it(predictor: ClassificationPredictor) -> None:
    favour(predictor, "style", 0, float("nan"))
    good, bad = predictor.predict([item(heads=("objects",)), item(heads=("objects", "style"))])
    assert isinstance(good, ClassifiedImage) and not isinstance(bad, ClassifiedImage)
