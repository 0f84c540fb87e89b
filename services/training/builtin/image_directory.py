"""What encoders are worth on validation data, and the directory of the image encoder that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.classification.config import ImageEncoderConfig
from services.classification.model import EncodedImages, ImageEncoder
from services.text.model import TextEncoder
from services.training.builtin.material import Material
from services.training.builtin.measuring import (
    Metrics,
    encode_captions,
    encode_pictures,
    encoder_metrics,
    validation_pictograms,
)
from services.training.builtin.run import Run
from services.training.calibration import fitted_temperature
from services.training.data.captions import label
from services.training.data.label_names import head_labels
from services.training.data.meanings import LANGUAGES
from services.training.export import write_labels, write_model_directory
from services.training.models import training_of
from services.training.zero_shot import calibrated_scale
from shared.inference.model_directory import ModelDirectory


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Of a text and an image encoder together."""

    metrics: Metrics
    zero_shot_scale: float
    temperature: dict[str, float]
    """By head."""


def measure_encoders(run: Run, text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer) -> Findings:
    """Both in evaluation mode, on validation pictograms and scenes; prints the metrics."""
    pack = run.material.pack
    rows, pictograms = validation_pictograms(image, pack)
    scenes, pictures = run.material.validation
    seen = encode_pictures(image, pictures)
    names = [encode_captions(text, tokenizer, [label(one, lang) for one in pack.concepts]) for lang in LANGUAGES]
    right = torch.from_numpy(pack.concept[rows])
    metrics = encoder_metrics(text, image, tokenizer, pictograms, right, seen, scenes)
    run.console.print(metrics)
    return Findings(
        metrics=metrics,
        zero_shot_scale=calibrated_scale(pictograms.vectors.cpu(), torch.stack(names).cpu(), right),
        temperature=_head_temperatures(run.material, pictograms, rows, seen),
    )


def write_image_encoder(
    run: Run, image: ImageEncoder, config: ImageEncoderConfig, space: str, findings: Findings,
    training: Mapping[str, object] | None = None, start: ModelDirectory | None = None,
) -> None:  # fmt: skip
    """Writes OUT/classification; `training` is what model.toml says of that beside the usual.

    start: the encoder of which only the head of concepts is another one. Then model.toml tells its training.
    """
    pack, out = run.material.pack, run.options.out / "classification"
    card = run.card(
        "classification", "Names and encodes pictograms and scenes.", space, metrics=findings.metrics,
        serving={"zero_shot_scale": findings.zero_shot_scale, "temperature": findings.temperature},
        more=training,
    )  # fmt: skip
    if start is not None:
        fitted = {f"concepts_{key}": card.training[key] for key in ("command", "commit")}
        card = replace(card, training={**training_of(start), **fitted})
    write_model_directory(out, task="classification", module=image, config=config, card=card,
                          files=[write_labels(out, pack, head_labels(pack))])  # fmt: skip


def space_id(image: nn.Module) -> str:
    """A name for the space that two trainings never share: a hash of the concept prototypes as they were trained.

    Not as they were fitted later, which is the same to a rounding alone, and leaves the space as it is.
    """
    prototypes = image.get_parameter("concepts").detach().cpu().numpy().tobytes()
    return f"pictures-{hashlib.sha256(prototypes).hexdigest()[:8]}"


def _head_temperatures(
    material: Material, pictograms: EncodedImages, rows: NDArray[np.int64], seen: EncodedImages
) -> dict[str, float]:
    """By head the temperature that suits validation pictures: pictograms, scenes, or both."""
    pack, scenes = material.pack, material.validation[0]
    labels = {head: [one["id"] for one in found] for head, found in head_labels(pack).items()}
    concepts = [pack.concepts[index] for index in pack.concept[rows]]

    def indices(head: str, names: list[str]) -> Tensor:
        return torch.tensor([labels[head].index(name) for name in names])

    def present(head: str, names: list[set[str | None]]) -> Tensor:
        return torch.tensor([[label in found for label in labels[head]] for found in names])

    both = {
        head: torch.cat((pictograms.heads[head].float().cpu(), seen.heads[head].float().cpu()))
        for head in ("background", "style")
    }
    backgrounds = ["plain"] * len(rows) + [one.background for one in scenes]
    styles = [pack.styles[index] for index in pack.style[rows]] + [one.style for one in scenes]
    kinds = [{one.kind for one in scene.objects} for scene in scenes]
    colours = [{one.colour for one in scene.objects} for scene in scenes]
    return {
        "concept": fitted_temperature(pictograms.logits, torch.from_numpy(pack.concept[rows])),
        "subgroup": fitted_temperature(
            pictograms.heads["subgroup"], indices("subgroup", [one.subgroup for one in concepts])
        ),
        "background": fitted_temperature(both["background"], indices("background", backgrounds)),
        "objects": fitted_temperature(seen.heads["objects"], present("objects", kinds)),  # type: ignore[arg-type]
        "colour": fitted_temperature(seen.heads["colour"], present("colour", colours)),
        "style": fitted_temperature(both["style"], indices("style", styles)),
    }
