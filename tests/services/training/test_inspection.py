"""`diptych model` tells what a directory holds, and in one line what is wrong with it."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from services.training.inspection import TASKS, verify
from services.training.model_cli import model
from services.training.tiny import write_tiny_models, write_tiny_text_encoder
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import sha256_of


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four tiny models."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_models(root)
    return root


@pytest.fixture
def text(models: Path, tmp_path: Path) -> Path:
    """A copy of the text encoder's directory to damage."""
    return Path(shutil.copytree(models / "text", tmp_path / "text"))


def edit(directory: Path, old: str, new: str) -> None:
    file = directory / "model.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def diptych_model(*arguments: str | Path) -> str:
    result = CliRunner().invoke(model, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_four_models_of_one_space_pair(models: Path) -> None:
    told = diptych_model("verify", *(models / task for task in TASKS)).splitlines()
    assert len(told) == 5 and told[0].startswith(f"{models / 'text'}: tiny-text 0.0.0, text, answers in ")
    assert told[-1] == "all 4 pair: they are of space tiny"


@pytest.mark.parametrize("task", TASKS)
def test_model_is_verified_without_the_others(models: Path, task: str) -> None:
    assert "it is of space tiny" in diptych_model("verify", models / task)


def test_models_of_two_spaces_do_not_pair(models: Path, text: Path) -> None:
    edit(text, 'space = "tiny"', 'space = "other"')
    with pytest.raises(ModelDirectoryError, match=r"do not pair: they are of 2 spaces .*text: other.*generation: tiny"):
        verify([models / "generation", text])


def test_truncated_weights_are_told(text: Path) -> None:
    weights = text / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(ModelDirectoryError, match=r"model\.safetensors: SHA-256: model\.toml says"):
        verify([text])
    edit(text, tomllib.loads((text / "model.toml").read_text("utf-8"))["weights"]["sha256"], sha256_of(weights))
    with pytest.raises(ModelDirectoryError, match=r"model\.safetensors: is not a safetensors file"):
        verify([text])


def test_missing_tensor_is_named(text: Path) -> None:
    weights = text / "model.safetensors"
    old, tensors = sha256_of(weights), load_file(weights)
    del tensors["norm.bias"]
    save_file(tensors, weights)
    edit(text, old, sha256_of(weights))
    with pytest.raises(ModelDirectoryError, match=r"tensor norm\.bias of shape \[16\] is missing"):
        verify([text])


def test_unknown_task_and_folder_of_another_task_are_told(models: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match="task: the folder says text, found captioning"):
        verify([Path(shutil.copytree(models / "captioning", tmp_path / "elsewhere" / "text"))])
    edit(text, 'task = "text"', 'task = "texts"')
    with pytest.raises(ModelDirectoryError, match=r"task: expected one of text, .*, found 'texts'"):
        verify([text])


def test_tokenizer_that_is_none_is_told(text: Path) -> None:
    tokenizer = text / "tokenizer.json"
    old = sha256_of(tokenizer)
    tokenizer.write_text("{}", "utf-8")
    edit(text, old, sha256_of(tokenizer))
    with pytest.raises(ModelDirectoryError, match="text: cannot be loaded: "):
        verify([text])


def test_captioner_of_other_tokens_does_not_answer_the_classifier(models: Path, tmp_path: Path) -> None:
    """Equal names of spaces do not make it so: the captioner is asked with what the classifier says."""
    classification = Path(shutil.copytree(models / "classification", tmp_path / "classification"))
    edit(classification, "pixels = 32", "pixels = 48")
    with pytest.raises(ModelDirectoryError, match=r"captioning: cannot answer: tokens have \d+ bytes"):
        verify([classification, models / "captioning"])


def test_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"model\.toml: cannot be read: No such file"):
        verify([tmp_path])


def test_inspect_as_json_says_dates_as_text(text: Path) -> None:
    edit(text, "[architecture]", "[training]\nday = 2026-01-02\n\n[architecture]")
    assert json.loads(diptych_model("inspect", text, "--json"))["training"]["day"] == "2026-01-02"


def test_data_that_are_no_tables_are_told(text: Path) -> None:
    file = text / "model.toml"
    file.write_text('data = "drawings"\n' + file.read_text("utf-8"), "utf-8")
    with pytest.raises(ModelDirectoryError, match="data: expected tables"):
        diptych_model("inspect", text)


def test_buffers_are_no_parameters(tmp_path: Path) -> None:
    text = write_tiny_text_encoder(tmp_path / "text")
    words = write_tiny_text_encoder(tmp_path / "words", word_layers=1)
    counts = {json.loads(diptych_model("inspect", each, "--json"))["parameters"] for each in (text, words)}
    assert len(counts) == 1


def test_inspect_tells_everything_a_model_says_of_itself() -> None:
    shipped = Path(__file__).parents[3] / "services" / "captioning" / "weights"
    told = diptych_model("inspect", shipped)
    for part in ("name", "space", "weights.sha256", "architecture.width", "training.seed", "serving.languages"):
        assert part in told
    assert "CC-BY-4.0" in told and "parameters" in told
    table = json.loads(diptych_model("inspect", shipped, "--json"))
    assert table["parameters"] > 1e6 and table["task"] == "captioning"
