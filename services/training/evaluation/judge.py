"""The judge: says what is in a picture, to score painted ones. Never part of a flow or a loss, and never served.

A plain stack of convolutions (VGG, Simonyan & Zisserman 2015, arXiv:1409.1556) with a top-down path to cells at a
quarter of the side (FPN, Lin et al. 2017, arXiv:1612.03144). It names the object of each cell; from these cells
come which objects there are, their colours and where they stand. It shares no weight, no layer and no seed with the
models that it judges.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from shared.errors import ConfigurationError
from shared.inference.runtime import channels_last
from shared.inference.weights import write_weights

WEIGHTS, FACTS = "judge.safetensors", "judge.json"
STRIDE = 4
"""Pixels of the input a cell is wide and high."""
CHUNK = 64


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """What it knows, in the order of its scores, and how it decides."""

    pixels: int
    """Side of the input; a multiple of 16."""
    objects: tuple[str, ...]
    """Classes of scenes."""
    colours: tuple[str, ...]
    backgrounds: tuple[str, ...]
    concepts: tuple[str, ...]
    """Pictograms."""
    threshold: float = 0.5
    """An object is there where a cell is as sure of it; fitted to real pictures that it was not trained on."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What one forward pass says of B pictures, as logits."""

    cells: Tensor
    """(B, 1 + objects, H/4, W/4); the first is the background."""
    colours: Tensor
    """(B, colours, H/4, W/4)."""
    backgrounds: Tensor
    """(B, backgrounds)."""
    concepts: Tensor
    """(B, concepts)."""


class JudgeNetwork(nn.Module):
    """Pictures to scores: 1.9 M parameters, 0.16 GMAC a picture of 64 px."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.quarter = nn.Sequential(
            _convolution(3, 32, 2), _convolution(32, 64, 1), _convolution(64, 96, 2), _convolution(96, 96, 1),
            _convolution(96, 96, 1),
        )  # fmt: skip
        self.eighth = nn.Sequential(_convolution(96, 160, 2), _convolution(160, 160, 1), _convolution(160, 160, 1))
        self.sixteenth = nn.Sequential(_convolution(160, 208, 2), _convolution(208, 208, 1))
        self.lateral = nn.ModuleList(nn.Conv2d(width, 128, 1) for width in (96, 160, 208))
        self.smooth = _convolution(128, 128, 1)
        self.cells = nn.Conv2d(128, 1 + len(config.objects), 1)
        self.colours = nn.Conv2d(128, len(config.colours), 1)
        self.backgrounds = nn.Linear(208, len(config.backgrounds))
        self.concepts = nn.Sequential(nn.Linear(208, 128), nn.GELU(), nn.Linear(128, len(config.concepts)))

    def forward(self, pictures: Tensor) -> Scores:
        """(B, 3, H, W) in [-1, 1]."""
        maps = [self.quarter(pictures)]  # (B, 96, H/4, W/4)
        maps.append(self.eighth(maps[-1]))  # (B, 160, H/8, W/8)
        maps.append(self.sixteenth(maps[-1]))  # (B, 208, H/16, W/16)
        whole = maps[-1].mean(dim=(2, 3))
        merged = self.lateral[2](maps[2])
        for index in (1, 0):
            merged = self.lateral[index](maps[index]) + functional.interpolate(merged, scale_factor=2.0)
        cells = self.smooth(merged)  # (B, 128, H/4, W/4)
        return Scores(
            cells=self.cells(cells).float(),
            colours=self.colours(cells).float(),
            backgrounds=self.backgrounds(whole).float(),
            concepts=self.concepts(whole).float(),
        )


def _convolution(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One object in a picture, as the judge sees it."""

    colour: str
    """The likeliest, also where it has none that has a name."""
    x: float
    """Centre of mass of its cells, 0 (left) to 1."""
    y: float
    """The same, 0 (top) to 1."""
    foot: float
    """Lower end of its cells, 0 (top) to 1: what stands lower is nearer."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the judge sees in one scene."""

    objects: Mapping[str, Seen]
    """By class; several of one class are one."""
    background: str


class Judge:
    """A trained network that answers in words."""

    def __init__(self, network: JudgeNetwork, config: JudgeConfig) -> None:
        self.config = config
        self.network = channels_last(network).eval()

    def see(self, pixels: NDArray[np.uint8]) -> list[Judgement]:
        """(N, H, W, 3) RGB of scenes, of any size -> what is in each."""
        answers: list[Judgement] = []
        for scores in self._run(pixels):
            cells = scores.cells.softmax(dim=1)[:, 1:].numpy()  # (B, objects, H, W)
            colours = scores.colours.softmax(dim=1).numpy()
            names = [self.config.backgrounds[index] for index in scores.backgrounds.argmax(dim=1).tolist()]
            answers += [self._judge(*each) for each in zip(cells, colours, names, strict=True)]
        return answers

    def name_concepts(self, pixels: NDArray[np.uint8]) -> list[str]:
        """(N, H, W, 3) RGB of pictograms -> the concept that each most likely shows."""
        return [
            self.config.concepts[index]
            for scores in self._run(pixels)
            for index in scores.concepts.argmax(dim=1).tolist()
        ]

    def highest(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, objects): how sure the surest cell is of each class; what `threshold` is compared with."""
        parts = [scores.cells.softmax(dim=1)[:, 1:].amax(dim=(2, 3)).numpy() for scores in self._run(pixels)]
        return np.concatenate(parts)

    def _run(self, pixels: NDArray[np.uint8]) -> Iterator[Scores]:
        for first in range(0, len(pixels), CHUNK):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                pictures = judge_input(pixels[first : first + CHUNK], self.config.pixels)
                scores = self.network(pictures.contiguous(memory_format=torch.channels_last))
            yield scores

    def _judge(self, cells: NDArray[np.float32], colours: NDArray[np.float32], background: str) -> Judgement:
        found = np.flatnonzero(cells.max(axis=(1, 2)) >= self.config.threshold)
        objects = {self.config.objects[index]: self._place(cells[index], colours) for index in found}
        return Judgement(objects=objects, background=background)

    def _place(self, cells: NDArray[np.float32], colours: NDArray[np.float32]) -> Seen:
        """Where the cells of one class are, (H, W), and what colour they have, (colours, H, W)."""
        height, width = cells.shape
        weight = np.where(cells >= cells.max() / 2, cells, 0)
        weight = weight / weight.sum()
        rows, columns = weight.sum(axis=1), weight.sum(axis=0)
        return Seen(
            colour=self.config.colours[int((colours * weight).sum(axis=(1, 2)).argmax())],
            x=float(((np.arange(width) + 0.5) * columns).sum() / width),
            y=float(((np.arange(height) + 0.5) * rows).sum() / height),
            foot=float((np.flatnonzero(rows)[-1] + 1) / height),
        )


def judge_input(pixels: NDArray[np.uint8], side: int) -> Tensor:
    """(B, H, W, 3) of 8 bits -> (B, 3, side, side) in [-1, 1], averaged down, or up where they are smaller."""
    pictures = torch.tensor(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1  # a copy: some are read-only
    if pictures.shape[-1] == side:
        return pictures
    mode = "area" if pictures.shape[-1] > side else "bilinear"
    return functional.interpolate(pictures, size=(side, side), mode=mode)


def write_judge(judge: Judge, folder: Path, training: Mapping[str, object]) -> None:
    """Writes float16 weights, and what the judge knows, how it was trained and its own scores as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(judge.network, folder / WEIGHTS)
    facts = {"config": asdict(judge.config), "training": dict(training)}
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_judge(folder: Path) -> Judge:
    """Reads what `write_judge` wrote. Raises ConfigurationError where there is no judge, or no readable one."""
    try:
        stated: dict[str, Any] = json.loads((folder / FACTS).read_text("utf-8"))["config"]
        stated = {key: tuple(value) if isinstance(value, list) else value for key, value in stated.items()}
        config = JudgeConfig(**stated)
        network = JudgeNetwork(config)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError:
        raise ConfigurationError(f"{folder}: has no judge; `diptych train judge` makes one") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigurationError(f"{folder}: its judge cannot be read: {error}") from None
    return Judge(network, config)
