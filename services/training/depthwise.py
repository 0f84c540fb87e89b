"""Depthwise convolutions whose gradients CPUs find nearly as fast as their results.

oneDNN has fast gradients in bf16 for 3x3 kernels of stride 1 alone; at 5x5 or stride 2 they take 30 to 70 times as long
as the convolution. So they are made of such kernels here: that of a 5x5 kernel of four that overlap, and that of
stride 2 of one for each of the four pictures that every second row and column make.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from services.classification.efficientnet import SameConv2d

SLOW = ((5, 1), (3, 2), (5, 2))
"""Kernels and strides; other ones are fast, or have no gradients here."""


class _Depthwise(torch.autograd.Function):
    """(B, C, H, W), (C, 1, K, K) -> (B, C, H / stride, W / stride), padded as SAME does; for kernels of SLOW.

    H and W are even where the stride is 2.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, picture: Tensor, kernel: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(picture, kernel)
        ctx.stride = stride  # type: ignore[attr-defined]
        before = (kernel.shape[-1] - stride) // 2
        after = kernel.shape[-1] - stride - before
        if before != after:  # at stride 2
            picture, before = functional.pad(picture, (before, after) * 2), 0
        return functional.conv2d(picture, kernel, None, stride, before, groups=len(kernel))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        picture, kernel = ctx.saved_tensors  # type: ignore[attr-defined]
        of = _of_stride_two if ctx.stride == 2 else _of_five  # type: ignore[attr-defined]
        return *of(picture, kernel, gradient.contiguous(memory_format=torch.channels_last)), None


def _of_five(picture: Tensor, kernel: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of picture and 5x5 kernel at stride 1."""
    of_picture = functional.conv2d(gradient, kernel.flip(2, 3), None, 1, 2, groups=len(kernel))
    of_kernel = torch.empty_like(kernel)
    padded = functional.pad(picture, (2, 2, 2, 2))
    height, width = gradient.shape[2] + 2, gradient.shape[3] + 2
    for row in (0, 2):
        for column in (0, 2):
            window = padded[:, :, row : row + height, column : column + width]
            of_kernel[:, :, row : row + 3, column : column + 3] = _of_three(
                window, kernel[:, :, :3, :3], gradient, padding=0, wanted=[False, True, False]
            )[1]
    return of_picture, of_kernel


def _of_stride_two(picture: Tensor, kernel: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of picture and kernel at stride 2: output i meets pixel 2i + tap - before."""
    size = kernel.shape[-1]
    before = (size - 2) // 2
    of_picture, of_kernel = torch.empty_like(picture), torch.empty_like(kernel)
    for row in (0, 1):
        for column in (0, 1):
            # Pixels 2p + parity: tap t of the kernel is tap (t - before - parity) / 2 + 1 of one that is 3x3.
            places = [[(place, 2 * (place - 1) + parity + before) for place in range(3)] for parity in (row, column)]
            rows, columns = ([(to, tap) for to, tap in each if 0 <= tap < size] for each in places)
            small = kernel.new_zeros(len(kernel), 1, 3, 3)
            for to, tap in rows:
                for across, tap_across in columns:
                    small[:, :, to, across] = kernel[:, :, tap, tap_across]
            part = picture[:, :, row::2, column::2]
            of_part, of_small = _of_three(part, small, gradient, padding=1, wanted=[True, True, False])
            of_picture[:, :, row::2, column::2] = of_part
            for to, tap in rows:
                for across, tap_across in columns:
                    of_kernel[:, :, tap, tap_across] = of_small[:, :, to, across]
    return of_picture, of_kernel


def _of_three(
    picture: Tensor, kernel: Tensor, gradient: Tensor, *, padding: int, wanted: list[bool]
) -> tuple[Tensor, Tensor]:
    """Those `wanted` of the gradients of picture and 3x3 kernel at stride 1, as oneDNN finds them."""
    of_picture, of_kernel, _ = torch.ops.aten.convolution_backward(
        gradient, picture.contiguous(memory_format=torch.channels_last), kernel.contiguous(), None,
        [1, 1], [padding, padding], [1, 1], False, [0, 0], len(kernel), wanted,
    )  # fmt: skip
    return of_picture, of_kernel


class DepthwiseConv2d(SameConv2d):
    """The same convolution, with those gradients."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Conv2d's name
        if not torch.is_grad_enabled():
            return super().forward(input)
        picture, kernel = input, self.weight
        if torch.is_autocast_enabled(input.device.type):
            dtype = torch.get_autocast_dtype(input.device.type)
            picture, kernel = picture.to(dtype), kernel.to(dtype)
        return _Depthwise.apply(picture, kernel, self.stride[0])  # type: ignore[no-any-return, no-untyped-call]


def learn_depthwise_fast(network: nn.Module) -> None:
    """From now on the network's depthwise convolutions that need it find their gradients so; results stay the same."""
    for module in network.modules():
        if type(module) is not SameConv2d or not module.groups == module.in_channels == module.out_channels:
            continue
        if (module.kernel_size[0], module.stride[0]) in SLOW:
            module.__class__ = DepthwiseConv2d
