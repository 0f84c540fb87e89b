"""`diptych train builtin classification`: another image encoder for a text encoder that stays as it is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.builtin.encoders import encoder_batches, scene_facts_index, subgroups_of
from services.training.builtin.image_directory import measure_encoders, space_id, write_image_encoder
from services.training.builtin.measuring import encode_pictures
from services.training.builtin.moved_space import copy_to_space
from services.training.builtin.run import VERSION, Run
from services.training.data.label_names import head_labels
from services.training.data.lexicon import read_lexicon
from services.training.depthwise import learn_depthwise_fast
from services.training.encoding.concept_directions import fit_concepts
from services.training.encoding.locked import ImageTrainer
from services.training.encoding.objectives import Objectives
from services.training.models import (
    TOKENS_OF,
    read_image_encoder,
    read_text_encoder,
    require_same_concepts,
    require_same_space,
)
from services.training.pretrained import IMAGENET_WEIGHTS, begin_with_imagenet, load_efficientnet_lite0
from shared.errors import ConfigurationError
from shared.inference.model_directory import FILE_NAME, ModelDirectory
from shared.inference.runtime import channels_last

LENGTHS_OF = 256
"""Scenes that tokens' lengths are compared on."""


def train_image_encoder(run: Run) -> None:
    """Trains it beside the encoders of --from, and writes OUT/classification with the id of a new space.

    The text encoder, and a generator where --from has one, are copied to OUT with that id: their vectors are where they
    were. A caption decoder is not; it is trained next, from the one of --from.

    Raises ConfigurationError where there is no data, no lexicon, no package of ImageNet's weights, or an image encoder
    of another shape or other concepts, and ModelDirectoryError where --from has no such models.
    """
    options, pack = run.options, run.material.pack
    text, tokenizer, start = read_text_encoder(run.start_of("text"), run.device)
    before, partner = read_image_encoder(run.start_of("classification"), run.device)
    joining = [start, *_generator_beside(run)]
    require_same_space(partner, *joining)
    heads = {name: len(found) for name, found in head_labels(pack).items()}
    config = ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **PRESETS[options.preset])
    _require_same_shape(partner, config)
    require_same_concepts(partner, pack.concepts)
    image = ImageEncoder(config)
    if pretrained := config.backbone == "efficientnet-lite0":
        begin_with_imagenet(image, load_efficientnet_lite0())
    with torch.no_grad():
        image.concepts.copy_(before.concepts)
        image.log_scale.copy_(before.log_scale)
    image = channels_last(image.to(run.device))
    if run.device.type == "cpu":
        learn_depthwise_fast(image)
    index = scene_facts_index()
    trainer = ImageTrainer(
        image, before, text,
        encoder_batches(run, index, read_lexicon(options.lexicon), tokenizer, pixels=config.pixels),
        Objectives(image, index, subgroups=subgroups_of(pack), styles=len(pack.styles)), pretrained=pretrained,
    )  # fmt: skip
    run.train(trainer, stage="image-encoder", base=start.digest + partner.digest)
    trainer.take_average()
    _match_token_lengths(image.eval(), before, run.material.validation[1][:LENGTHS_OF])
    space = space_id(image)
    fit_concepts(image, pack)
    findings = measure_encoders(run, text, image, tokenizer)
    training = {"text_encoder": start.digest[:16], TOKENS_OF: partner.space}
    training |= {"began_with": IMAGENET_WEIGHTS} if pretrained else {}
    write_image_encoder(run, image, config, space, findings, training=training)
    for model in joining:
        metrics = findings.metrics if model is start else None
        copy_to_space(model, options.out / model.task, space=space, version=VERSION, metrics=metrics)


@torch.inference_mode()
def _match_token_lengths(image: ImageEncoder, before: ImageEncoder, pictures: NDArray[np.uint8]) -> None:
    """Makes tokens as long as those of the encoder before, on average: training compared their directions alone."""
    ours, theirs = (encode_pictures(each, pictures).tokens.float().norm(dim=-1).mean() for each in (image, before))
    for parameter in image.to_tokens.parameters():
        parameter.mul_(theirs / ours)


def _generator_beside(run: Run) -> list[ModelDirectory]:
    """That of --from, if any."""
    folder = run.start_of("generation")
    if not (folder / FILE_NAME).exists():
        run.console.print(f"there is no {folder}: no generator joins the new space")
        return []
    generator = ModelDirectory.read(folder, task="generation")
    generator.verify()
    return [generator]


def _require_same_shape(partner: ModelDirectory, config: ImageEncoderConfig) -> None:
    """That vectors and tokens of the encoder before can be compared with those of the new one."""
    before = partner.config(ImageEncoderConfig)
    for name in ("pixels", "token_width", "space_width"):
        if (found := getattr(before, name)) != (expected := getattr(config, name)):
            raise ConfigurationError(f"--from: {partner.path}: {name}: expected {expected}, found {found}")
