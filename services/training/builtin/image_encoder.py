"""`diptych train builtin classification`: another image encoder for a text encoder that stays as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.builtin.encoders import encoder_batches, scene_facts_index, subgroups_of
from services.training.builtin.image_directory import measure_encoders, space_id, write_image_encoder
from services.training.builtin.run import Run
from services.training.data.label_names import head_labels
from services.training.data.lexicon import read_lexicon
from services.training.depthwise import learn_depthwise_fast
from services.training.encoding.locked import ImageTrainer
from services.training.encoding.objectives import Objectives
from services.training.models import TOKENS_OF, read_image_encoder, read_text_encoder, require_same_space
from services.training.pretrained import IMAGENET_WEIGHTS, begin_with_imagenet, load_efficientnet_lite0
from shared.inference.model_directory import FILE_NAME, ModelDirectory
from shared.inference.runtime import channels_last


def train_image_encoder(run: Run) -> None:
    """Trains it beside the encoders of --from, and writes OUT/classification with the id of a new space.

    What reads words and paints them is copied to OUT with that id: their vectors are where they were. A caption decoder
    is not; it is trained next, from the one of --from.

    Raises ConfigurationError where there is no data, no lexicon, or no package of ImageNet's weights, and
    ModelDirectoryError where --from has no such models.
    """
    options, pack = run.options, run.material.pack
    text, tokenizer, start = read_text_encoder(run.start_of("text"), run.device)
    before, partner = read_image_encoder(run.start_of("classification"), run.device)
    painter = ModelDirectory.read(run.start_of("generation"), task="generation")
    require_same_space(start, partner, painter)
    heads = {name: len(found) for name, found in head_labels(pack).items()}
    config = ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **PRESETS[options.preset])
    image = _begin(config, before)
    image = channels_last(image.to(run.device))
    if run.device.type == "cpu":
        learn_depthwise_fast(image)
    index = scene_facts_index()
    trainer = ImageTrainer(
        image, before, text,
        encoder_batches(run, index, read_lexicon(options.lexicon), tokenizer, pixels=config.pixels),
        Objectives(image, index, subgroups=subgroups_of(pack), styles=len(pack.styles)),
        batch=options.batch, pretrained=config.backbone != "residual",
    )  # fmt: skip
    run.train(trainer, stage="image-encoder", base=start.digest + partner.digest)
    trainer.take_average()
    space = space_id(image)
    begun = {TOKENS_OF: partner.space} | ({} if config.backbone == "residual" else {"began_with": IMAGENET_WEIGHTS})
    findings = measure_encoders(run, text, image.eval(), tokenizer)
    write_image_encoder(run, image, config, space, findings, training=begun)
    for model in (start, painter):
        copy_to_space(model, options.out / model.task, space)


def copy_to_space(model: ModelDirectory, folder: Path, space: str) -> None:
    """A copy of a model directory that names another joint space, in which its vectors are where they were."""
    shutil.copytree(model.path, folder, dirs_exist_ok=True)
    text = (model.path / FILE_NAME).read_text("utf-8")
    (folder / FILE_NAME).write_text(text.replace(f'space = "{model.space}"', f'space = "{space}"', 1), "utf-8")


def _begin(config: ImageEncoderConfig, before: ImageEncoder) -> ImageEncoder:
    """A new encoder whose concepts are where they were, with ImageNet's weights where they fit."""
    image = ImageEncoder(config)
    if config.backbone == "efficientnet-lite0":
        begin_with_imagenet(image, load_efficientnet_lite0())
    with torch.no_grad():
        image.concepts.copy_(before.concepts)
        image.log_scale.copy_(before.log_scale)
    return image
