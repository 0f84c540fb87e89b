"""Features of a network that knows nothing of our data: EfficientNet-Lite0, trained on ImageNet (Tan & Le 2019).

It comes as a package with its weights; nothing is downloaded. Used by FID, precision, recall and diversity.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.training.pretrained import load_efficientnet_lite0
from shared.inference.runtime import channels_last

WIDTH = 1280
SIDE = 224
CHUNK = 32


def load_feature_network() -> nn.Module:
    """The network, ready for `features`. Raises ConfigurationError where its packages are missing or changed."""
    return channels_last(load_efficientnet_lite0()).eval()


def features(network: nn.Module, pictures: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Pictures (H, W, 3), RGB, of any one size -> (N, 1280), the last maps' mean over the picture.

    Pictures are enlarged to what the network was trained on, 224 px, whole. It runs in bf16.
    """
    parts: list[NDArray[np.float32]] = []
    rest = iter(pictures)
    while chunk := list(islice(rest, CHUNK)):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            maps: Tensor = network.extract_features(_input(np.stack(chunk)))  # type: ignore[operator]  # its own method
        parts.append(maps.float().mean(dim=(2, 3)).numpy())
    return np.concatenate(parts) if parts else np.zeros((0, WIDTH), np.float32)


def _input(pixels: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) of 8 bits -> (B, 3, 224, 224), (x - 127) / 128 as it was trained."""
    pictures = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127) / 128
    larger = functional.interpolate(pictures, size=(SIDE, SIDE), mode="bicubic", antialias=True)
    return larger.contiguous(memory_format=torch.channels_last)
