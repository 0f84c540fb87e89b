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
    model: ModelDirectory, folder: Path, space: str, *, metrics: Mapping[str, float] | None = None
) -> None:
    """Writes to `folder` the same weights with a model.toml that names `space`, and `metrics` where there are new ones.

    Raises ModelDirectoryError where model.toml does not name its space as `write_model_directory` does.
    """
    shutil.copytree(model.path, folder, dirs_exist_ok=True)
    file = folder / FILE_NAME
    text = file.read_text("utf-8").replace(f'\nspace = "{model.space}"\n', f'\nspace = "{space}"\n')
    if metrics is not None:
        text = re.sub(r"(?ms)^\[metrics\]\n.*?(?=^\[|\Z)", f"[metrics]\n{toml_lines(metrics)}\n", text)
    file.write_text(text, "utf-8")
    if (found := ModelDirectory.read(folder, task=model.task).space) != space:
        raise ModelDirectoryError(f"{file}: space: expected {space}, found {found}")
