"""Figures against training: what the same models were worth after fewer steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError

TASKS: Mapping[str, str] = {
    "retrieval": "text",
    "classification": "classification",
    "captions": "captioning",
    "text_to_image": "generation",
}
"""Whose steps a figure is drawn against, by how its name begins."""


def add_curves(result: Mapping[str, Any], earlier: Sequence[Path]) -> None:
    """Adds to each figure of an evaluation `curve`: its steps and values, from earlier evaluations and its own.

    The curves of earlier evaluations go on.

    Raises ConfigurationError for a file that is no evaluation.
    """
    evaluations = [*(_read(file) for file in earlier), result]
    for figure in result["figures"]:
        last = _steps(result, figure["name"]) or 0
        points = {
            point["steps"]: point["value"]
            for one in evaluations
            for other in one["figures"]
            if other["name"] == figure["name"]
            for point in (*other.get("curve", ()), {"steps": _steps(one, figure["name"]), "value": other["value"]})
            if None not in point.values() and point["steps"] <= last
        }
        if len(points) > 1:
            figure["curve"] = [{"steps": steps, "value": points[steps]} for steps in sorted(points)]


def curve_text(curve: Sequence[Mapping[str, float]]) -> str:
    """`0.328 after 1,442 steps, 0.410 after 2,059`: all but the last, which is the figure itself."""
    said = [f"{point['value']:.3f} after {point['steps']:,}" for point in curve[:-1]]
    return f"{said[0]} steps" + "".join(f", {one}" for one in said[1:])


def _steps(evaluation: Mapping[str, Any], name: str) -> int | None:
    steps: int | None = evaluation["models"].get(TASKS[name.partition(".")[0]], {}).get("steps")
    return steps


def _read(file: Path) -> Mapping[str, Any]:
    try:
        evaluation: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        evaluation["models"], evaluation["figures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{file} is no evaluation ({error!r})") from None
    return evaluation
