"""Losses have the values and the gradients their papers say."""

from __future__ import annotations

import math

import pytest
import torch

from services.training.losses import contrastive_loss, edge_loss, gradient_penalty, multiscale_l1, relativistic_loss


def test_contrast_of_unrelated_pairs_is_the_entropy_of_a_guess() -> None:
    vectors = torch.nn.functional.normalize(torch.ones(4, 8), dim=1)
    loss = contrastive_loss(vectors, vectors, torch.eye(4, dtype=torch.bool), torch.tensor(10.0))
    assert loss.item() == pytest.approx(math.log(4))


def test_contrast_of_perfect_pairs_is_nearly_zero() -> None:
    vectors = torch.eye(4)
    loss = contrastive_loss(vectors, vectors, torch.eye(4, dtype=torch.bool), torch.tensor(30.0))
    assert loss.item() < 1e-6


def test_contrast_does_not_punish_a_second_right_answer() -> None:
    vectors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    matches = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    scale = torch.tensor(30.0)
    assert contrastive_loss(vectors, vectors, matches, scale) < contrastive_loss(
        vectors, vectors, torch.tensor([[1, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=torch.bool), scale
    )
    assert contrastive_loss(vectors, vectors, matches, scale).item() == pytest.approx(2 / 3 * math.log(2), abs=1e-5)


def test_l1_sees_a_shift_of_colour_at_every_scale() -> None:
    target = torch.zeros(2, 3, 8, 8)
    assert multiscale_l1(target + 0.5, target, (1, 2, 4)).item() == pytest.approx(1.5)


def test_edges_ignore_a_shift_of_colour() -> None:
    target = torch.rand(2, 3, 8, 8)
    assert edge_loss(target + 0.5, target).item() == pytest.approx(0, abs=1e-6)
    assert edge_loss(torch.zeros_like(target), target).item() > 0.1


def test_relativistic_loss_falls_as_the_right_side_wins() -> None:
    low, high = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 2.0])
    assert relativistic_loss(high, low) < relativistic_loss(low, low) < relativistic_loss(low, high)
    assert relativistic_loss(low, low).item() == pytest.approx(math.log(2))


def test_gradient_penalty_is_the_squared_slope() -> None:
    pictures = torch.rand(2, 3, 4, 4, requires_grad=True)
    scores = 2 * pictures.sum(dim=(1, 2, 3))
    assert gradient_penalty(pictures, scores).item() == pytest.approx(4 * 3 * 16)
