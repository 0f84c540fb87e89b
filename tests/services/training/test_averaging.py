"""The moving average follows, and goes on where it was."""

from __future__ import annotations

import torch
from torch import nn

from services.training.averaging import MovingAverage


def _filled(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, value)
    nn.init.constant_(layer.bias, value)
    return layer


def test_the_average_of_a_constant_is_the_constant() -> None:
    average = MovingAverage(_filled(0.0), decay=0.5)
    for _ in range(50):
        average.follow(_filled(1.0))
    assert torch.allclose(average.mean.get_parameter("weight"), torch.ones(1, 1))


def test_a_resumed_average_is_that_of_a_run_that_never_stopped() -> None:
    whole, first = (MovingAverage(_filled(0.0), decay=0.99) for _ in range(2))
    for step in range(20):
        whole.follow(_filled(float(step)))
    for step in range(10):
        first.follow(_filled(float(step)))
    resumed = MovingAverage(_filled(5.0), decay=0.99)
    resumed.load_state_dict(first.state_dict())
    for step in range(10, 20):
        resumed.follow(_filled(float(step)))
    assert torch.equal(resumed.mean.get_parameter("weight"), whole.mean.get_parameter("weight"))
