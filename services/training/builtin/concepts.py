"""`diptych train builtin concepts`: what the image encoder calls concepts, fitted anew to what it sees."""

from __future__ import annotations

from services.classification.config import ImageEncoderConfig
from services.training.builtin.image_directory import measure_encoders, write_image_encoder
from services.training.builtin.run import Run
from services.training.encoding.concept_directions import fit_concepts
from services.training.models import (
    read_image_encoder,
    read_text_encoder,
    require_same_concepts,
    require_same_space,
)
from shared.inference.model_directory import FILE_NAME, ModelDirectory


def train_concepts(run: Run) -> None:
    """Fits the rows of the head alone, and writes OUT/classification: its vectors and tokens, and so the joint space,
    are those of the encoder in --from.

    Raises ConfigurationError where there is no data, or of other concepts, and ModelDirectoryError where --from has no
    encoders, or OUT models of another space.
    """
    out = run.options.out
    text, tokenizer, partner = read_text_encoder(run.start_of("text"), run.device)
    image, start = read_image_encoder(run.start_of("classification"), run.device)
    beside = [task for task in ("text", "generation", "captioning") if (out / task / FILE_NAME).exists()]
    space = require_same_space(partner, start, *(ModelDirectory.read(out / task, task=task) for task in beside))
    require_same_concepts(start, run.material.pack.concepts)
    with run.console.status("looking at all pictograms"):
        fit_concepts(image, run.material.pack)
    findings = measure_encoders(run, text, image, tokenizer)
    write_image_encoder(run, image, start.config(ImageEncoderConfig), space, findings, start=start)
