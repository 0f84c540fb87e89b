"""A checkpoint goes on with the options that it was made with: each is held to, or said to be free."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.training.cli import train
from services.training.own.options import (
    CaptioningOptions,
    ClassificationOptions,
    GenerationOptions,
    Options,
    TextOptions,
    flag,
)
from services.training.tiny import write_tiny_models
from shared.errors import ConfigurationError
from tests.services.training.own.drawings import write_drawings

KINDS: tuple[type[Options], ...] = (TextOptions, ClassificationOptions, CaptioningOptions, GenerationOptions)
BEGUN = {"--steps": "2", "--batch": "8", "--preset": "tiny", "--device": "cpu", "--precision": "fp32"}
HELD = {
    "data": "fewer/my.jsonl",
    "start": "tiny/classification",
    "partner": "tiny/text",
    "preset": "small",
    "language": "zh",
    "batch": "4",
    "optimiser": "sgd",
    "learning_rate": "0.01",
    "schedule": "step",
    "warmup": "0.1",
    "weight_decay": "0.1",
    "dropout": "0.1",
    "noise": "0.1",
    "blur": "1",
    "crop": "0.2",
    "colour": "0.2",
    "validation": "0.2",
    "every": "1",
    "seed": "1",
    "tune": "all",
}
"""Of each option that changes what a training comes to, by its field, a value that the begun one did not have."""
OPEN = {
    "out": "renamed",
    "name": "mine",
    "minutes": "2",
    "steps": "3",
    "patience": "9",
    "device": "auto",
    "precision": "auto",
    "folds": "2",
}
"""The same of each option that may change."""
OF_THE_CHECKPOINT = {"resume": "", "work": "elsewhere"}
"""The same of those that choose the checkpoint itself."""
OTHER = HELD | OPEN | OF_THE_CHECKPOINT


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a classifier was trained for two steps."""
    root = tmp_path_factory.mktemp("resuming")
    write_drawings(root / "pictures")
    write_drawings(root / "fewer", colours=("red", "green"))
    write_tiny_models(root / "tiny")
    go_on(root)
    return root


def go_on(root: Path, field: str = "") -> str:
    """The command of `begun` once more, one option changed; returns what was printed."""
    given = {"--data": str(root / "pictures" / "my.jsonl"), "--out": str(root / "out"), "--work": str(root / "work")}
    given |= BEGUN
    if field == "start":
        del given["--preset"]
    if field == "resume":
        given["--restart"] = ""
    elif field:
        value = OTHER[field]
        given[flag(ClassificationOptions, field)] = str(root / value) if (root / value).exists() else value
    if field in ("out", "work"):
        given[f"--{field}"] = str(root / OTHER[field])
    words = [word for option, value in given.items() for word in (option, value) if word]
    result = CliRunner().invoke(train, ["classification", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_option_is_tried_here() -> None:
    assert {field.name for kind in KINDS for field in fields(kind)} == OTHER.keys()


@pytest.mark.parametrize("field", HELD)
def test_checkpoint_is_refused_with_another_value_by_the_name_of_the_option(begun: Path, field: str) -> None:
    named = flag(ClassificationOptions, field)
    with pytest.raises(ConfigurationError, match=f"work: its {named} was .+, now .+; start with --restart"):
        go_on(begun, field)


@pytest.mark.parametrize("field", OPEN)
def test_training_goes_on_with_another_value_of_an_open_option(begun: Path, field: str) -> None:
    assert "resumed at step" in go_on(begun, field)


@pytest.mark.parametrize("field", OF_THE_CHECKPOINT)
def test_training_begins_anew_where_no_checkpoint_is_wanted(begun: Path, field: str) -> None:
    assert "resumed at step" not in go_on(begun, field)


def test_option_without_a_value_is_told_as_not_given(begun: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"its --learning-rate was not given, now 0\.01;"):
        go_on(begun, "learning_rate")


@pytest.mark.parametrize("task", ["text", "captioning", "generation"])
def test_frozen_model_is_held_to_by_what_is_in_it(begun: Path, task: str) -> None:
    """A space has several models; of those that make other vectors no checkpoint knows anything."""
    partner = "text" if task == "generation" else "classification"
    directory = begun / f"partner-of-{task}"
    words = [task, "--data", str(begun / "pictures" / "my.jsonl"), "--out", str(begun / f"own-{task}")]
    words += [word for pair in BEGUN.items() for word in pair] + ["--with", str(directory)]
    write_tiny_models(directory.with_name(f"tiny-{task}"))
    directory.with_name(f"tiny-{task}").joinpath(partner).rename(directory)
    runner = CliRunner()
    assert runner.invoke(train, words, catch_exceptions=False).exit_code == 0
    table = directory / "model.toml"
    table.write_text(table.read_text("utf-8") + "# another\n", "utf-8")
    with pytest.raises(ConfigurationError, match=f"own-{task}.training: its --with was"):
        runner.invoke(train, words, catch_exceptions=False)
