"""The scale of zero-shot classification is the one under which the right labels are likeliest."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import pytest
import torch

from services.training.zero_shot import calibrated_scale


def test_scale_makes_the_share_of_right_answers_the_probability() -> None:
    # Two labels at right angles, pictures on the first; three of four are told right. The likelihood is greatest where
    # the softmax says .75: scale x (1 - 0) = ln(.75 / .25).
    labels = torch.eye(2)[None]
    pictures = torch.tensor([[1.0, 0.0]] * 4)
    assert calibrated_scale(pictures, labels, torch.tensor([0, 0, 0, 1])) == pytest.approx(math.log(3), rel=0.01)


def test_pictures_that_are_all_told_right_make_it_sure() -> None:
    scale = calibrated_scale(torch.eye(3), torch.eye(3)[None], torch.arange(3))
    assert torch.tensor([scale, 0.0, 0.0]).softmax(dim=0)[0] > 0.9999


def test_shipped_classifier_names_its_scale() -> None:
    file = Path(__file__).parents[3] / "services" / "classification" / "weights" / "model.toml"
    table = tomllib.loads(file.read_text("utf-8"))
    card = (file.parents[1] / "MODEL_CARD.md").read_text("utf-8")
    assert f"softmax({table['serving']['zero_shot_scale']} x cosine)" in card
