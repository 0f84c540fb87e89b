"""EfficientNet-Lite0 without its classifier (Tan and Le 2019, arXiv:1905.11946): ReLU6 and no squeeze-and-excitation.

An image encoder that begins with its ImageNet weights knows edges, textures and shapes that ten thousand drawings
cannot teach it. Modules have names of their own; `services/training/pretrained.py` finds the weights for them.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-3
"""Of batch norm, as it was trained in TensorFlow."""
STEM = 32
# Of each block the kernel, stride, expansion and channels out.
STAGES: tuple[tuple[tuple[int, int, int, int], ...], ...] = (
    ((3, 1, 1, 16), (3, 2, 6, 24), (3, 1, 6, 24)),
    ((5, 2, 6, 40), (5, 1, 6, 40)),
    ((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80), (5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
    ((5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (3, 1, 6, 320)),
)
"""By the maps that they end in, at 1/4, 1/8, 1/16 and 1/32 of the side."""
WIDTHS = tuple(stage[-1][-1] for stage in STAGES)


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's SAME does: of stride 2 more at the end than at the beginning."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        even = stride == 1
        super().__init__(inputs, outputs, kernel, stride, kernel // 2 if even else 0, groups=groups, bias=False)
        self._ends = None if even else ((kernel - 2) // 2, (kernel - 1) // 2)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Conv2d's name
        """(B, I, H, W) -> (B, O, H / stride, W / stride), H and W even where the stride is 2."""
        return super().forward(input if self._ends is None else functional.pad(input, self._ends * 2))


class ExactConv2d(SameConv2d):
    """One that is not rounded to bf16 (`Runtime.place`).

    The first depthwise kernels have channels of very unlike size. Rounding those of the first maps moves a picture's
    vector to a cosine of .9989 on average, and rounding all pointwise kernels to one of .9999.
    """

    exact = True

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # nn.Conv2d's name
        """As SameConv2d's, in the type of the weights; the result has that of the input."""
        return super().forward(input.to(self.weight.dtype)).to(input.dtype)


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, exact: bool = False
) -> nn.Sequential:
    """A convolution and its batch norm."""
    kind = ExactConv2d if exact else SameConv2d
    return nn.Sequential(kind(inputs, outputs, kernel, stride, groups), nn.BatchNorm2d(outputs, eps=EPSILON))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel for itself, narrow (Sandler et al. 2018, arXiv:1801.04381)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = convolution(inputs, width, 1) if expansion > 1 else None
        self.depthwise = convolution(width, width, kernel, stride, groups=width, exact=expansion == 1)
        self.project = convolution(width, outputs, 1)
        self._keeps_shape = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H / stride, W / stride)."""
        wide = features if self.expand is None else functional.relu6(self.expand(features), inplace=True)
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide), inplace=True))
        return narrow + features if self._keeps_shape else narrow


def stem_and_stages() -> tuple[nn.Sequential, nn.ModuleList]:
    """What makes the map at 1/2 of the side, and what makes each of the four others of the one before."""
    stages, inputs = [], STEM
    for stage in STAGES:
        blocks = []
        for kernel, stride, expansion, outputs in stage:
            blocks.append(InvertedResidual(inputs, outputs, kernel, stride, expansion))
            inputs = outputs
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(*convolution(3, STEM, 3, 2), nn.ReLU6(inplace=True)), nn.ModuleList(stages)
