"""Model cards state what was measured, of the very weights that ship."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from services.training.evaluation.cards import BEGIN, CARDS, END, SERVICES, SHIPPED, card_lines, write_cards

FIGURE: dict[str, Any] = {
    "name": "retrieval.text_to_image.en", "title": "text | picture", "value": 0.71234, "low": 0.7, "high": 0.72,
    "samples": 1000, "must": 0.7, "goal": 0.9, "above": None, "reached": "must",
    "beside": {"chance": 0.001, "plain": {"value": 0.8, "low": 0.7, "high": 0.9, "samples": 5}}, "note": "so",
}  # fmt: skip


def test_a_figure_is_a_line_with_its_interval_its_targets_and_what_is_beside_it() -> None:
    assert card_lines([FIGURE])[2] == (
        "| text / picture | 0.712 | 0.700 to 0.720 | 1,000 | 0.70 | 0.90 | reaches the must "
        "| chance 0.001; plain 0.800; so |"
    )


def test_what_was_not_measured_says_why_and_has_no_number() -> None:
    line = card_lines([FIGURE | {"value": None, "reached": "not measured", "beside": {}, "note": "no judge"}])[2]
    assert line == "| text / picture | – |  |  | 0.70 | 0.90 |  | no judge |"


def test_a_card_keeps_all_but_its_table(tmp_path: Path) -> None:
    for task in CARDS:
        (tmp_path / task).mkdir()
        (tmp_path / task / "MODEL_CARD.md").write_text(f"# {task}\n{BEGIN}\nold\n{END}\nend\n", "utf-8")
    (tmp_path / "evaluation.json").write_text(json.dumps({"figures": [FIGURE]}), "utf-8")
    write_cards(tmp_path / "evaluation.json", tmp_path)
    card = (tmp_path / "text" / "MODEL_CARD.md").read_text("utf-8")
    assert card.startswith(f"# text\n{BEGIN}\n| figure") and card.endswith(f"{END}\nend\n")
    assert "0.712" in card and "old" not in card
    assert "0.712" not in (tmp_path / "generation" / "MODEL_CARD.md").read_text("utf-8")


@pytest.mark.parametrize("task", CARDS)
def test_shipped_cards_have_the_figures_that_were_measured(task: str) -> None:
    figures = [one for one in _shipped()["figures"] if one["name"].startswith(CARDS[task])]
    assert figures
    card = (SERVICES / task / "MODEL_CARD.md").read_text("utf-8")
    assert "\n".join([BEGIN, *card_lines(figures), END]) in card


@pytest.mark.parametrize("task", CARDS)
def test_the_figures_are_of_the_shipped_weights(task: str) -> None:
    stated = tomllib.loads((SERVICES / task / "weights" / "model.toml").read_text("utf-8"))
    assert _shipped()["models"][task]["sha256"] == stated["weights"]["sha256"]


def test_every_figure_is_on_one_card() -> None:
    for figure in _shipped()["figures"]:
        assert sum(figure["name"].startswith(begins) for begins in CARDS.values()) == 1, figure["name"]


def _shipped() -> dict[str, Any]:
    evaluation: dict[str, Any] = json.loads(SHIPPED.read_text("utf-8"))
    return evaluation
