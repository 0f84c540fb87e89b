"""Puts the figures of one evaluation into the model cards, between two comments, each card its own.

`python -m services.training.evaluation.cards` after `diptych evaluate`: copies out/evaluation/evaluation.json to
`shipped.json`, so that a card can be checked against it, and rewrites the tables.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.training.evaluation.curve import curve_text

SERVICES = Path(__file__).parents[2]
SHIPPED = Path(__file__).with_name("shipped.json")
"""The evaluation behind the model cards."""
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
CARDS: Mapping[str, tuple[str, ...]] = {
    "text": ("retrieval.",),
    "classification": ("classification.",),
    "captioning": ("captions.",),
    "generation": ("text_to_image.",),
}
"""By task the figures of its card, as their names begin."""
MARKS = {"goal": "reaches the goal", "must": "reaches the must", "short": "**falls short**"}


def write_cards(evaluation: Path, services: Path = SERVICES) -> None:
    """Rewrites the tables in MODEL_CARD.md of each task from an evaluation's JSON file."""
    figures = json.loads(evaluation.read_text("utf-8"))["figures"]
    for task, begins in CARDS.items():
        card = services / task / "MODEL_CARD.md"
        text = card.read_text("utf-8")
        before, rest = text.split(BEGIN)
        after = rest.split(END)[1]
        lines = card_lines([one for one in figures if one["name"].startswith(begins)])
        card.write_text("\n".join([before + BEGIN, *lines, END]) + after, "utf-8")


def card_lines(figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table in Markdown, a line a figure."""
    head = [
        "| figure, on held-out data | value | 95 % | n | must | goal | | beside |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return [*head, *(_line(figure) for figure in figures)]


def _line(figure: Mapping[str, Any]) -> str:
    measured = figure["value"] is not None
    open_interval = figure["must"] is None and figure["above"] is not None
    beside = [f"{name} {_number(_value(each))}" for name, each in figure["beside"].items()]
    curve = [curve_text(figure["curve"])] if "curve" in figure else []
    cells = (
        figure["title"],
        _number(figure["value"]) if measured else "–",
        f"{_number(figure['low'])} to {_number(figure['high'])}" if measured else "",
        f"{figure['samples']:,}" if measured else "",
        f"all > {figure['above']:.2f}" if open_interval else _number(figure["must"], digits=2),
        _number(figure["goal"], digits=2),
        MARKS.get(figure["reached"], ""),
        "; ".join([*beside, *curve, *filter(None, [figure["note"]])]),
    )
    return "| " + " | ".join(re.sub(r"\s*\|\s*", " / ", cell) for cell in cells) + " |"


def _value(beside: Mapping[str, float] | float | None) -> float | None:
    return beside["value"] if isinstance(beside, Mapping) else beside


def _number(value: float | None, *, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    shutil.copyfile("out/evaluation/evaluation.json", SHIPPED)
    write_cards(SHIPPED)
