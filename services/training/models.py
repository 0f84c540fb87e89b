"""Reads trained models back from their directories, to train or evaluate others on them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from services.captioning.config import CaptionerConfig
from services.captioning.model import Captioner
from services.classification.config import CONCEPT, ImageEncoderConfig
from services.classification.labels import read_labels
from services.classification.model import ImageEncoder
from services.generation.config import GeneratorConfig
from services.generation.model import Generator
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.pack import Concept
from shared.errors import ConfigurationError, ModelDirectoryError
from shared.inference.model_directory import FILE_NAME, ModelDirectory
from shared.inference.runtime import channels_last
from shared.inference.weights import load_weights

SERVICES = Path(__file__).parents[1]
SHIPPED = "shipped"
TOKENS_OF = "tokens_of"
"""In `[training]` of an image encoder: the space of the one whose tokens its own were held to."""


def shipped(task: str) -> Path:
    """The model directory that comes with Diptych."""
    return SERVICES / task / "weights"


def read_text_encoder(folder: Path, device: torch.device) -> tuple[TextEncoder, Tokenizer, ModelDirectory]:
    """The text encoder of a model directory, in evaluation mode. Raises ModelDirectoryError."""
    directory = _verified(folder, "text")
    model = TextEncoder(directory.config(TextEncoderConfig))
    load_weights(model, directory)
    return model.to(device).eval(), Tokenizer.from_file(str(folder / "tokenizer.json")), directory


def read_image_encoder(folder: Path, device: torch.device) -> tuple[ImageEncoder, ModelDirectory]:
    """The image encoder of a model directory, in evaluation mode. Raises ModelDirectoryError."""
    directory = _verified(folder, "classification")
    model = ImageEncoder(directory.config(ImageEncoderConfig))
    load_weights(model, directory)
    return channels_last(model.to(device)).eval(), directory


def read_generator(folder: Path, device: torch.device) -> tuple[Generator, ModelDirectory]:
    """The generator of a model directory, in evaluation mode. Raises ModelDirectoryError."""
    directory = _verified(folder, "generation")
    model = Generator(directory.config(GeneratorConfig))
    load_weights(model, directory)
    return channels_last(model.to(device)).eval(), directory


def read_captioner(folder: Path, device: torch.device) -> tuple[Captioner, Tokenizer, ModelDirectory]:
    """The caption decoder of a model directory, in evaluation mode. Raises ModelDirectoryError."""
    directory = _verified(folder, "captioning")
    model = Captioner(directory.config(CaptionerConfig))
    load_weights(model, directory)
    return model.to(device).eval(), Tokenizer.from_file(str(folder / "tokenizer.json")), directory


def require_same_space(*directories: ModelDirectory) -> str:
    """The space all directories name. Raises ModelDirectoryError when they differ."""
    spaces = {directory.space for directory in directories}
    if len(spaces) != 1:
        named = ", ".join(f"{directory.path}: {directory.space}" for directory in directories)
        raise ModelDirectoryError(f"the models were not trained together ({named})")
    return spaces.pop()


def training_of(directory: ModelDirectory) -> Mapping[str, Any]:
    """What model.toml says of how the model was trained; nothing where it says nothing."""
    return tomllib.loads((directory.path / FILE_NAME).read_text("utf-8")).get("training", {})  # type: ignore[no-any-return]


def require_same_tokens(encoder: ModelDirectory, captioner: ModelDirectory) -> None:
    """That a caption decoder may go on with an image encoder: in its space, or with one whose tokens were held to those
    of that space. Raises ModelDirectoryError where it may not."""
    if captioner.space != training_of(encoder).get(TOKENS_OF):
        require_same_space(encoder, captioner)


def require_same_concepts(encoder: ModelDirectory, concepts: Sequence[Concept]) -> None:
    """That the image encoder's concepts are these, in this order. Raises ConfigurationError; ModelDirectoryError where
    its labels cannot be read."""
    config = encoder.config(ImageEncoderConfig)
    counts = {CONCEPT: config.concepts, **config.heads}
    labels = read_labels(encoder.path / "labels.json", counts=counts, languages=())
    if [one.id for one in labels[CONCEPT]] != [one.id for one in concepts]:
        raise ConfigurationError(f"{encoder.path}: has other concepts than the data")


def _verified(folder: Path, task: str) -> ModelDirectory:
    directory = ModelDirectory.read(folder, task=task)
    directory.verify()
    return directory
