"""A shape that no network can have is refused in one line, before torch sees it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from shared.errors import ModelDirectoryError
from shared.inference.predictor import RuntimeOptions


@pytest.mark.parametrize(
    ("task", "line", "other", "complaint"),
    [
        ("text", "heads = 2", "heads = 3", "architecture.heads: expected a divisor of half the width 16, found 3"),
        ("text", "heads = 2", "heads = 16", "architecture.heads: expected a divisor of half the width 16, found 16"),
        ("text", "layers = 2", "layers = 0", "architecture.layers: expected at least 1, found 0"),
        ("captioning", "heads = 2", "heads = 3", "architecture.heads: expected a divisor of the width 16, found 3"),
        ("captioning", "longest = 8", "longest = 1", "architecture.longest: expected at least 2"),
        ("classification", "pixels = 32", "pixels = 40", "architecture.pixels: expected a multiple of 16, found 40"),
        ("classification", "depths = [1, 1, 1]", "depths = [1, 1]", "depths: expected 3 numbers, found [1, 1]"),
        (
            "classification",
            "widths = [4, 8, 8, 16]",
            "widths = []",
            "architecture.widths: expected at least 1, found []",
        ),
        ("generation", "widths = [16, 8, 8]", "widths = [16, 6, 8]", "widths: expected multiples of 4, found 6"),
        ("generation", "page_widths = [8, 8, 8]", "page_widths = [8, 8]", "page_widths: expected 3 numbers, found 2"),
        ("generation", "slots = 2", "slots = 0", "architecture.slots: expected at least 1, found 0"),
    ],
)
def test_impossible_shape_is_one_line(
    task: str, line: str, other: str, complaint: str, tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    for file in tiny_models[task].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    toml = (tmp_path / "model.toml").read_text("utf-8")
    assert f"\n{line}\n" in toml
    (tmp_path / "model.toml").write_text(toml.replace(f"\n{line}\n", f"\n{other}\n"), "utf-8")
    with pytest.raises(ModelDirectoryError) as caught:
        importlib.import_module(f"services.{task}.predictor").load(tmp_path, RuntimeOptions(device="cpu"))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
