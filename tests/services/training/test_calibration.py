"""A fitted temperature gives back the one that the rows were drawn with."""

from __future__ import annotations

import pytest
import torch

from services.training.calibration import fitted_temperature
from services.training.evaluation.bootstrap import calibration_error


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
        return calibration_error(confidence, first == right).value

    assert error(1.0) > 0.2
    assert error(fitted_temperature(told, right)) < 0.03


def test_head_that_is_never_wrong_is_made_four_times_as_sharp_at_most() -> None:
    told = torch.eye(3).repeat(100, 1)
    assert fitted_temperature(told, told.argmax(dim=1)) == pytest.approx(0.25, abs=0.01)
