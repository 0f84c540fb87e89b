"""Copies of models for a space in which their vectors are where they were."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from services.training.export import toml_lines
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import FILE_NAME, ModelDirectory


def copy_to_space(
    model: ModelDirectory, folder: Path, *, space: str, version: str, metrics: Mapping[str, float] | None = None
) -> None:
    """Writes to `folder` the same weights with a model.toml of another space and version, and of `metrics` if given.

    Raises ModelDirectoryError where model.toml is not laid out as `write_model_directory` does it.
    """
    shutil.copytree(model.path, folder, dirs_exist_ok=True)
    file = folder / FILE_NAME
    text = file.read_text("utf-8")
    for key, value in (("space", space), ("version", version)):
        text = re.sub(rf'(?m)^{key} = ".*"$', f'{key} = "{value}"', text, count=1)
    if metrics is not None:
        text = re.sub(r"(?ms)^\[metrics\]\n.*?(?=^\[|\Z)", f"[metrics]\n{toml_lines(metrics)}\n", text)
    file.write_text(text, "utf-8")
    read = ModelDirectory.read(folder, task=model.task)
    if (read.space, read.version) != (space, version):
        raise ModelDirectoryError(
            f"{file}: expected version {version} in {space}, found {read.version} in {read.space}"
        )
