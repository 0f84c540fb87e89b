"""A fitted temperature gives back the one that the rows were drawn with; the error is what a person would count."""

from __future__ import annotations

import pytest
import torch

from services.training.calibration import expected_calibration_error, fitted_temperature


def logits(rows: int, labels: int) -> torch.Tensor:
    return 2 * torch.randn(rows, labels, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_of_a_softmax_is_found(temperature: float) -> None:
    told = logits(4000, 5)
    drawn = torch.Generator().manual_seed(1)
    right = torch.multinomial((told / temperature).softmax(dim=1), 1, generator=drawn)[:, 0]
    assert fitted_temperature(told, right) == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_of_sigmoids_is_found(temperature: float) -> None:
    told = logits(4000, 5)
    fits = torch.rand(told.shape, generator=torch.Generator().manual_seed(1)) < (told / temperature).sigmoid()
    assert fitted_temperature(told, fits) == pytest.approx(temperature, rel=0.1)


def test_fitting_lowers_the_error_of_an_overconfident_head() -> None:
    told = logits(4000, 5)
    right = torch.multinomial((told / 3).softmax(dim=1), 1, generator=torch.Generator().manual_seed(1))[:, 0]

    def error(temperature: float) -> float:
        confidence, first = (told / temperature).softmax(dim=1).max(dim=1)
        return expected_calibration_error(confidence, first == right)

    assert error(1.0) > 0.2
    assert error(fitted_temperature(told, right)) < 0.03


def test_error_is_the_weighted_gap_of_the_bins() -> None:
    confidence = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    correct = torch.tensor([True, True, True, False, False, False])
    assert expected_calibration_error(confidence, correct) == pytest.approx((4 * 0.15 + 2 * 0.5) / 6)


def test_two_bins_do_not_make_good_for_one_another() -> None:
    confidence, correct = torch.tensor([0.25, 0.75]), torch.tensor([True, False])
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.75)
    assert expected_calibration_error(confidence, correct, bins=1) == pytest.approx(0.0)


def test_bounds_of_probability_are_in_the_outer_bins() -> None:
    assert expected_calibration_error(torch.tensor([0.0, 1.0]), torch.tensor([False, True])) == 0.0


def test_no_rows_have_no_error() -> None:
    with pytest.raises(ValueError, match="found none"):
        expected_calibration_error(torch.zeros(0), torch.zeros(0, dtype=torch.bool))
