"""Figures of the same models after fewer steps stand beside the last one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.training.evaluation.curve import add_curves, curve_text
from shared.errors import ConfigurationError


def evaluation(steps: int, value: float | None) -> dict[str, Any]:
    return {
        "models": {"text": {"steps": steps}, "generation": {"steps": 7}},
        "figures": [
            {"name": "retrieval.text_to_picture.en", "value": value},
            {"name": "text_to_image.scenes.fid", "value": 50.0},
        ],
    }


def test_a_figure_has_a_point_for_each_evaluation_by_the_steps_of_its_model(tmp_path: Path) -> None:
    for steps, value in ((200, 0.4), (100, 0.3), (150, None)):
        (tmp_path / f"{steps}.json").write_text(json.dumps(evaluation(steps, value)), "utf-8")
    result = evaluation(300, 0.5)
    add_curves(result, [tmp_path / f"{steps}.json" for steps in (200, 100, 150)])
    curve = result["figures"][0]["curve"]
    assert curve == [{"steps": 100, "value": 0.3}, {"steps": 200, "value": 0.4}, {"steps": 300, "value": 0.5}]
    assert curve_text(curve) == "0.300 after 100 steps, 0.400 after 200"
    assert "curve" not in result["figures"][1]  # its model had no other number of steps


def test_the_curve_of_an_earlier_evaluation_goes_on(tmp_path: Path) -> None:
    (tmp_path / "100.json").write_text(json.dumps(evaluation(100, 0.3)), "utf-8")
    then = evaluation(200, 0.4)
    add_curves(then, [tmp_path / "100.json"])
    (tmp_path / "200.json").write_text(json.dumps(then), "utf-8")
    result = evaluation(300, 0.5)
    add_curves(result, [tmp_path / "200.json"])
    assert [point["steps"] for point in result["figures"][0]["curve"]] == [100, 200, 300]


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("[]", "utf-8")
    with pytest.raises(ConfigurationError, match=r"other\.json is no evaluation"):
        add_curves(evaluation(1, 0.1), [tmp_path / "other.json"])
