"""One step of several optimisers, each at its rate, down one sum of losses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from services.training.optimisation import take_step


@pytest.mark.parametrize(
    ("rate", "clip", "expected"),
    [
        (0.1, 100.0, (-0.3, -0.4)),
        (0.1, 1.0, (-0.06, -0.08)),  # 5 is cut to 1
        ({"one": 0.1, "other": 0.0}, 100.0, (-0.3, 0.0)),
    ],
)
def test_each_goes_down_the_sum_at_its_rate_with_a_gradient_that_is_not_too_long(
    rate: float | dict[str, float], clip: float, expected: tuple[float, float]
) -> None:
    one, other = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    one.grad = torch.full((1,), 7.0)  # of an earlier step
    optimisers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.SGD([each], lr=9.0) for name, each in (("one", one), ("other", other))
    }
    losses = {"first": 2 * one.sum() + 1, "second": one.sum() + 4 * other.sum()}

    told = take_step(losses, optimisers, [one, other], rate=rate, clip=clip)

    assert (one.item(), other.item()) == pytest.approx(expected)
    assert {name: value.item() for name, value in told.items()} == {"first": 1.0, "second": 0.0}
    assert not any(value.requires_grad for value in told.values())
