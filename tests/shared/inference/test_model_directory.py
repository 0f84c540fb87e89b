"""model.toml is read whole or refused with one line that says what to mend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory, sha256_of


@dataclass(frozen=True, kw_only=True)
class Shape:
    width: int
    depths: tuple[int, ...]
    sizes: Mapping[str, int] = field(default_factory=dict)
    kind: Literal["round", "square"] = "round"

    def __post_init__(self) -> None:
        if self.width % 2:
            raise ValueError(f"width: expected an even number, found {self.width}")


def write(folder: Path, **changes: str) -> Path:
    lines = {
        "schema": "schema = 1",
        "name": 'name = "model"',
        "version": 'version = "1.0.0"',
        "task": 'task = "text"',
        "space": 'space = "test"',
        "licence": 'licence = "Apache-2.0"',
        "description": 'description = "a test"',
        "weights": '[weights]\nfile = "w.safetensors"',
        "sha256": f'sha256 = "{"0" * 64}"',
        "architecture": "[architecture]\nwidth = 8\ndepths = [1, 2]",
        "serving": "[serving]\nbucket_sizes = [1, 4]",
    }
    (folder / "model.toml").write_text("\n".join((lines | changes).values()))
    return folder


def test_every_key_is_read(tmp_path: Path) -> None:
    directory = ModelDirectory.read(write(tmp_path), task="text")
    assert directory.info().name == "model"
    assert directory.info().digest == "0" * 64
    assert directory.info().bucket_sizes == (1, 4)
    assert directory.config(Shape) == Shape(width=8, depths=(1, 2))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"name": ""}, "name: expected str, found nothing"),
        ({"name": "name = 3"}, "name: expected str, found 3"),
        ({"schema": "schema = 2"}, "schema: expected 1, found 2"),
        ({"task": 'task = "generation"'}, "task: expected 'text', found 'generation'"),
        ({"sha256": ""}, "weights.sha256: expected str, found nothing"),
        ({"serving": "[serving]\nbucket_sizes = [4, 1]"}, "serving.bucket_sizes: expected rising sizes"),
        ({"serving": "[serving]\nbucket_sizes = []"}, "serving.bucket_sizes: expected rising sizes"),
        ({"serving": "[serving]\nbucket_sizes = [1]\nzero_shot_scale = 0.0"}, "expected a number above 0, found 0.0"),
        ({"serving": "[serving]\nbucket_sizes = [1]\nzero_shot_scale = nan"}, "expected a number above 0, found nan"),
        ({"serving": "[serving]\nbucket_sizes = [1]\nzero_shot_scale = true"}, "expected a number above 0, found True"),
        ({"serving": "[serving]\nbucket_sizes = [1]\ntemperature = 2"}, "temperature: expected dict, found 2"),
        (
            {"serving": "[serving]\nbucket_sizes = [1]\n[serving.temperature]\nconcept = 0"},
            "serving.temperature.concept: expected a number above 0, found 0",
        ),
        ({"serving": "[serving]\nbucket_sizes = [1]\nlanguages = [1]"}, "serving.languages: expected codes of"),
        ({"serving": "[serving\n"}, "is not TOML"),
    ],
)
def test_wrong_key_is_named_with_expected_and_found(tmp_path: Path, changes: dict[str, str], complaint: str) -> None:
    with pytest.raises(ModelDirectoryError) as caught:
        ModelDirectory.read(write(tmp_path, **changes), task="text")
    assert complaint in str(caught.value)
    assert str(tmp_path / "model.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folder_without_model_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"model\.toml: cannot be read: No such file"):
        ModelDirectory.read(tmp_path, task="text")


@pytest.mark.parametrize(
    ("line", "scale"), [("", None), ("zero_shot_scale = 25.1", 25.1), ("zero_shot_scale = 30", 30)]
)
def test_zero_shot_scale_may_be_absent(tmp_path: Path, line: str, scale: float | None) -> None:
    folder = write(tmp_path, serving=f"[serving]\nbucket_sizes = [1, 4]\n{line}")
    assert ModelDirectory.read(folder, task="text").zero_shot_scale == scale


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("width = 8", "without ['depths']"),
        ("width = 8\ndepths = [1]\nheads = 2", "found also ['heads']"),
        ('width = "8"\ndepths = [1]', "architecture.width: expected an integer, found '8'"),
        ("width = 8\ndepths = 1", "architecture.depths: expected a list of integers, found 1"),
        ("width = 0\ndepths = [1]", "architecture.width: expected at least 1, found 0"),
        ("width = 8\ndepths = [1, -1]", "architecture.depths: expected at least 1, found [1, -1]"),
        ("width = 7\ndepths = [1]", "architecture.width: expected an even number, found 7"),
        ("width = 8\ndepths = [1]\nsizes = 1", "architecture.sizes: expected a table of integers, found 1"),
        ('width = 8\ndepths = [1]\nsizes = {a = "1"}', "sizes: expected a table of integers, found {'a': '1'}"),
        ("width = 8\ndepths = [1]\nsizes = {a = 0}", "architecture.sizes: expected at least 1, found {'a': 0}"),
        ('width = 8\ndepths = [1]\nkind = "flat"', "kind: expected one of round, square, found 'flat'"),
    ],
)
def test_architecture_that_the_service_does_not_have_is_refused(tmp_path: Path, table: str, complaint: str) -> None:
    directory = ModelDirectory.read(write(tmp_path, architecture=f"[architecture]\n{table}"), task="text")
    with pytest.raises(ModelDirectoryError) as caught:
        directory.config(Shape)
    assert complaint in str(caught.value)


def test_architecture_has_tables_and_words_and_may_leave_out_what_has_a_default(tmp_path: Path) -> None:
    table = '[architecture]\nwidth = 8\ndepths = [1]\nsizes = {a = 2}\nkind = "square"'
    directory = ModelDirectory.read(write(tmp_path, architecture=table), task="text")
    assert directory.config(Shape) == Shape(width=8, depths=(1,), sizes={"a": 2}, kind="square")


def test_changed_file_is_refused_with_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    directory = ModelDirectory.read(write(tmp_path), task="text")
    with pytest.raises(ModelDirectoryError) as caught:
        directory.verify()
    assert "0" * 64 in str(caught.value)
    assert sha256_of(tmp_path / "w.safetensors") in str(caught.value)


def test_unchanged_files_are_verified(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    digest = sha256_of(tmp_path / "w.safetensors")
    ModelDirectory.read(write(tmp_path, sha256=f'sha256 = "{digest}"'), task="text").verify()


def test_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelDirectoryError, match=r"w\.safetensors: is named in model\.toml but does not exist"):
        ModelDirectory.read(write(tmp_path), task="text").verify()
