"""The image encoder's EfficientNet is the one whose ImageNet weights it begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.depthwise import DepthwiseConv2d, learn_depthwise_fast
from services.training.export import Card, write_model_directory
from services.training.models import read_image_encoder
from services.training.pretrained import begin_with_imagenet
from shared.inference.runtime import channels_last


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


def test_encoder_is_written_and_read_back(network: nn.Module, tmp_path: Path) -> None:
    config = ImageEncoderConfig(concepts=3, **{**PRESETS["pretrained"], "pixels": 64})
    encoder = channels_last(ImageEncoder(config))
    begin_with_imagenet(encoder, network)
    learn_depthwise_fast(encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(torch.randn(4, 3, 64, 64)).vectors.sum().backward()
    convolutions = [module for module in encoder.modules() if isinstance(module, DepthwiseConv2d)]
    gradients = [each.weight.grad for each in convolutions]
    assert gradients and all(each is not None and each.dtype is torch.float32 for each in gradients)
    card = Card(name="seeing", version="1.0.0", space="tiny", description="Sees.")
    write_model_directory(tmp_path, task="classification", module=encoder.eval(), config=config, card=card)
    read, directory = read_image_encoder(tmp_path, torch.device("cpu"))
    assert directory.config(ImageEncoderConfig) == config
    pictures = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(read(pictures).vectors, encoder(pictures).vectors, atol=0.01, rtol=0.01)


def test_residual_encoder_cannot_begin_so(network: nn.Module) -> None:
    encoder = ImageEncoder(ImageEncoderConfig(concepts=3, **PRESETS["tiny"]))
    with pytest.raises(ValueError, match="no EfficientNet-Lite0"):
        begin_with_imagenet(encoder, network)
