"""Gradients of depthwise convolutions are those that torch finds."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from services.classification.efficientnet import SameConv2d
from services.training.depthwise import DepthwiseConv2d, learn_depthwise_fast
from shared.inference.runtime import channels_last


def learnt(convolution: nn.Module, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and the gradients of the picture and the kernel for a loss that weighs each number on its own."""
    picture = picture.clone().requires_grad_()
    result = convolution(picture)
    weights = torch.arange(result.numel(), dtype=torch.double).cos().view_as(result)
    (result * weights.to(result.dtype)).sum().backward()
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


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (5, 2)])
def test_gradients_in_bf16_are_near_those_in_fp32(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = channels_last(SameConv2d(8, 8, kernel, stride, groups=8))
    fast = copy.deepcopy(plain)
    learn_depthwise_fast(nn.Sequential(fast))
    picture = torch.randn(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    exact = learnt(plain, picture)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = learnt(fast, picture)
    assert fast.weight.grad is not None and fast.weight.grad.dtype is torch.float32
    for ours, theirs in zip(found, exact, strict=True):
        assert (ours.float() - theirs).norm() < 0.02 * theirs.norm()


def test_only_depthwise_convolutions_that_are_slow_change() -> None:
    parts = nn.Sequential(
        SameConv2d(4, 4, 3, 1, groups=4), SameConv2d(4, 8, 1), SameConv2d(4, 8, 3, 2), SameConv2d(4, 4, 7, 2, groups=4),
        SameConv2d(4, 8, 5, 1, groups=4),
    )  # fmt: skip
    learn_depthwise_fast(parts)
    assert {type(part) for part in parts} == {SameConv2d}


def test_kernel_learns_behind_what_stands_still() -> None:
    fast = SameConv2d(4, 4, 5, 1, groups=4)
    learn_depthwise_fast(nn.Sequential(fast))
    fast(torch.randn(1, 4, 8, 8)).sum().backward()
    assert fast.weight.grad is not None and fast.weight.grad.abs().sum() > 0
