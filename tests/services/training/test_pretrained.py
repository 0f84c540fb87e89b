"""The image encoder's EfficientNet is the one whose ImageNet weights it begins with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.pretrained import begin_with_imagenet


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """The package's module with random weights and statistics."""
    torch.manual_seed(0)
    module: nn.Module = EfficientNet.from_name("efficientnet-lite0").eval()
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(norm.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    return module


def maps(network: Any, pictures: Tensor) -> list[Tensor]:
    """What the package's module makes of pictures at 1/2 of the side, and after each of its blocks."""
    found = [network._swish(network._bn0(network._conv_stem(pictures)))]
    for block in network._blocks:
        found.append(block(found[-1]))
    return found


def test_encoder_that_begins_so_makes_the_same_maps(network: nn.Module) -> None:
    encoder = ImageEncoder(ImageEncoderConfig(concepts=3, **PRESETS["pretrained"])).eval()
    begin_with_imagenet(encoder, network)
    pictures = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        theirs = {tuple(each.shape[1:]): each for each in maps(network, pictures)}  # the last one of each shape
        ours = encoder.stem(pictures)
        for stage in encoder.stages:
            ours = stage(ours)
            torch.testing.assert_close(ours, theirs[tuple(ours.shape[1:])])
    assert ours.shape == (2, 320, 2, 3)


def test_residual_encoder_cannot_begin_so(network: nn.Module) -> None:
    encoder = ImageEncoder(ImageEncoderConfig(concepts=3, **PRESETS["tiny"]))
    with pytest.raises(ValueError, match="no EfficientNet-Lite0"):
        begin_with_imagenet(encoder, network)
