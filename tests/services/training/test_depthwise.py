"""Gradients of depthwise convolutions are those that torch finds."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from services.classification.efficientnet import SameConv2d
from services.training.depthwise import DepthwiseConv2d, learn_depthwise_fast


def learnt(convolution: nn.Module, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and the gradients of the picture and the kernel for a loss that weighs each number on its own."""
    picture = picture.clone().requires_grad_()
    result = convolution(picture)
    (result * torch.arange(result.numel(), dtype=result.dtype).view_as(result).cos()).sum().backward()
    kernel = convolution.get_parameter("weight")
    assert picture.grad is not None and kernel.grad is not None
    return result.detach(), picture.grad, kernel.grad


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (5, 2)])
def test_gradients_are_those_of_torch(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = SameConv2d(4, 4, kernel, stride, groups=4).double()
    fast = copy.deepcopy(plain)
    learn_depthwise_fast(nn.Sequential(fast))
    assert isinstance(fast, DepthwiseConv2d)
    picture = torch.randn(2, 4, 8, 12, dtype=torch.double)
    for ours, theirs in zip(learnt(fast, picture), learnt(plain, picture), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_only_depthwise_convolutions_that_are_slow_change() -> None:
    parts = nn.Sequential(SameConv2d(4, 4, 3, 1, groups=4), SameConv2d(4, 8, 1), SameConv2d(4, 8, 3, 2))
    learn_depthwise_fast(parts)
    assert [type(part) for part in parts] == [SameConv2d] * 3


def test_kernel_learns_behind_what_stands_still() -> None:
    fast = SameConv2d(4, 4, 5, 1, groups=4)
    learn_depthwise_fast(nn.Sequential(fast))
    fast(torch.randn(1, 4, 8, 8)).sum().backward()
    assert fast.weight.grad is not None and fast.weight.grad.abs().sum() > 0
