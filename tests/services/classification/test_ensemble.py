"""Several models answer as one: the weighted average of what each would say, under a name and digest of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from services.classification.items import ClassifiedImage
from services.classification.predictor import ClassificationPredictor, load
from services.classification.settings import ClassificationSettings
from services.training.tiny import write_tiny_classifier
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import sha256_of
from shared.inference.predictor import EnsembleMember, RuntimeOptions
from tests.services.classification.test_predictor import answered, item

HEADS = ("concept", "objects")


@pytest.fixture
def directories(tmp_path: Path) -> list[Path]:
    """Two models of other weights; the second sees 64 pixels where the first sees 32."""
    return [
        write_tiny_classifier(tmp_path / "one", seed=1),
        write_tiny_classifier(tmp_path / "two", seed=2, pixels=64, serving={"temperature": {"concept": 3.0}}),
    ]


def joined(first: Path, *others: tuple[Path, float]) -> ClassificationPredictor:
    ensemble = tuple(EnsembleMember(directory=directory, weight=weight) for directory, weight in others)
    predictor = load(first, RuntimeOptions(device="cpu", precision="fp32", ensemble=ensemble))
    predictor.warmup()
    return predictor


def seen(predictor: ClassificationPredictor) -> ClassifiedImage:
    return answered(predictor.predict([item(heads=HEADS, top_k=99)])[0])


def by_label(answer: ClassifiedImage) -> dict[str, float]:
    return {f"{head.head} {label.id}": label.probability for head in answer.heads for label in head.labels}


def test_probabilities_are_the_weighted_average(directories: list[Path]) -> None:
    one, two = (by_label(seen(joined(directory))) for directory in directories)
    both = by_label(seen(joined(directories[0], (directories[1], 3.0))))
    assert both == pytest.approx({label: (one[label] + 3 * two[label]) / 4 for label in one}, abs=1e-6)
    assert max(abs(one[label] - two[label]) for label in one) > 0.01


def test_encodings_and_own_labels_are_the_firsts(directories: list[Path]) -> None:
    alone, both = joined(directories[0]), joined(directories[0], (directories[1], 1.0))
    assert seen(both).encoding == seen(alone).encoding
    own = replace(item(), label_vectors=tuple(label.tobytes() for label in np.eye(2, 32, dtype="<f4")))
    [one], [other] = (predictor.predict([own]) for predictor in (alone, both))
    assert answered(one).labels == answered(other).labels


def test_ensemble_is_told_from_its_members_and_from_other_weights(directories: list[Path]) -> None:
    first, second = directories
    alone, both, heavier = joined(first), joined(first, (second, 1.0)), joined(first, (second, 2.0))
    assert len({each.info.digest for each in (alone, joined(second), both, heavier)}) == 4
    assert joined(first, (second, 1.0)).info.digest == both.info.digest
    assert both.info.name == f"{alone.info.name}-ensemble-of-2"
    assert (both.info.space, both.info.heads) == (alone.info.space, alone.info.heads)


def test_rows_of_a_batch_do_not_mix(directories: list[Path]) -> None:
    predictor = joined(directories[0], (directories[1], 1.0))
    items = [item(seed, heads=HEADS, top_k=99) for seed in range(3)]
    together = [by_label(answered(answer)) for answer in predictor.predict(items)]
    alone = [by_label(answered(predictor.predict([each])[0])) for each in items]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def rewrite_labels(directory: Path, text: str) -> None:
    file = directory / "labels.json"
    toml = (directory / "model.toml").read_text("utf-8")
    before = sha256_of(file)
    file.write_text(text, "utf-8")
    (directory / "model.toml").write_text(toml.replace(before, sha256_of(file)), "utf-8")


def test_members_with_other_labels_are_refused_with_the_first_that_differs(directories: list[Path]) -> None:
    labels = json.loads((directories[1] / "labels.json").read_text("utf-8"))
    labels["objects"].reverse()
    rewrite_labels(directories[1], json.dumps(labels))
    with pytest.raises(ModelDirectoryError) as caught:
        joined(directories[0], (directories[1], 1.0))
    assert str(caught.value) == (
        f"{directories[0]} and {directories[1]} cannot answer together: label 0 of objects is 'cat' and 'moon'"
    )


def test_members_with_other_heads_are_refused(directories: list[Path], tiny_models: dict[str, Path]) -> None:
    with pytest.raises(ModelDirectoryError, match=r"their heads are concept, subgroup, .* and concept$"):
        joined(directories[0], (tiny_models["classification"], 1.0))


def test_setting_names_directories_and_weights() -> None:
    settings = ClassificationSettings(ensemble="models/one=0.5, models/two,")
    assert settings.runtime().ensemble == (
        EnsembleMember(directory=Path("models/one"), weight=0.5),
        EnsembleMember(directory=Path("models/two"), weight=1.0),
    )
    assert ClassificationSettings().runtime().ensemble == ()


@pytest.mark.parametrize("ensemble", ["one=", "one=0", "one=-1", "one=nan", "one=inf", "=2", "one=two"])
def test_weight_that_is_none_is_refused(ensemble: str) -> None:
    with pytest.raises(ValidationError, match="is no DIRECTORY or DIRECTORY=WEIGHT with a weight above 0"):
        ClassificationSettings(ensemble=ensemble)
