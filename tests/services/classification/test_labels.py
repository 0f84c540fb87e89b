"""labels.json is read whole or refused with one line that says what to mend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.classification.labels import read_labels
from shared.errors import ModelDirectoryError
from shared.inference.predictor import LabelName

CAT = {"id": "cat", "en": "cat", "zh": "猫"}
DOG = {"id": "dog", "en": "dog", "zh": "狗"}


def write(folder: Path, content: Any) -> Path:
    file = folder / "labels.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return file


def test_labels_are_read_in_order_in_the_languages_of_the_model(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, [DOG, CAT]), counts={"concept": 2}, languages=("zh",))
    assert labels == {"concept": (LabelName(id="dog", texts={"zh": "狗"}), LabelName(id="cat", texts={"zh": "猫"}))}


def test_each_head_has_a_table_of_its_own(tmp_path: Path) -> None:
    file = write(tmp_path, {"objects": [CAT], "concept": [CAT, DOG]})
    labels = read_labels(file, counts={"concept": 2, "objects": 1}, languages=("en",))
    assert {head: [label.id for label in each] for head, each in labels.items()} == {
        "concept": ["cat", "dog"],
        "objects": ["cat"],
    }


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([CAT, DOG], "expected labels of concept, objects, found concept"),
        ({"concept": [CAT, DOG], "object": [CAT]}, "expected labels of concept, objects, found concept, object"),
        ({"concept": [CAT, DOG], "objects": CAT}, "objects: expected an array of labels, found dict"),
        ({"concept": [CAT, DOG], "objects": [CAT, CAT]}, "objects: expected 1 labels, found 2"),
        ({"concept": [CAT, DOG], "objects": [{}]}, "objects: entry 0: id: expected a name, found nothing"),
    ],
)
def test_tables_of_other_heads_than_the_models_are_refused(tmp_path: Path, content: Any, complaint: str) -> None:
    with pytest.raises(ModelDirectoryError) as caught:
        read_labels(write(tmp_path, content), counts={"concept": 2, "objects": 1}, languages=("en",))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[", "is not JSON"),
        ({"cat": CAT}, "expected labels of concept, found cat"),
        ([CAT], "expected 2 labels, found 1"),
        ([CAT, "dog"], "entry 1: id: expected a name, found nothing"),
        ([CAT, {**DOG, "id": 2}], "entry 1: id: expected a name, found 2"),
        ([CAT, {**DOG, "id": " "}], "entry 1: id: expected a name, found ' '"),
        ([{"id": "cat", "en": "cat"}, DOG], "entry 0: zh: expected a name, found nothing"),
        ([CAT, {**DOG, "id": "cat"}], "entry 1: id 'cat' is that of entry 0"),
    ],
)
def test_wrong_labels_are_refused_with_the_entry_and_what_was_expected(
    tmp_path: Path, content: Any, complaint: str
) -> None:
    with pytest.raises(ModelDirectoryError) as caught:
        read_labels(write(tmp_path, content), counts={"concept": 2}, languages=("en", "zh"))
    assert complaint in str(caught.value)
    assert str(tmp_path / "labels.json") in str(caught.value)
    assert "\n" not in str(caught.value)
