"""The recipe of each training command: what is built, trained, measured and written, in this order."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from tokenizers import Tokenizer
from torch import nn

from services.captioning.config import PRESETS as CAPTIONER_PRESETS
from services.captioning.config import CaptionerConfig
from services.captioning.model import Captioner
from services.classification.config import PRESETS as IMAGE_PRESETS
from services.classification.config import ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.generation.config import PRESETS as GENERATOR_PRESETS
from services.generation.config import GeneratorConfig
from services.generation.model import Generator
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.captioning import CaptionerTrainer, caption_tokenizer, encode_views
from services.training.checkpoint import Progress
from services.training.data.captions import clean_caption
from services.training.data.pack import Pack, read_pack
from services.training.discriminator import Discriminator
from services.training.encoders import VOCABULARY, EncoderTrainer, text_tokenizer
from services.training.evaluation.trained import (
    Metrics,
    encode_captions,
    evaluate_captioner,
    evaluate_encoders,
    evaluate_generator,
    evaluate_zero_shot,
)
from services.training.export import Card, write_labels, write_model_directory, write_tokenizer
from services.training.generation import GeneratorTrainer, style_noise
from services.training.loop import Budget, Conditions, Trainer, train
from services.training.models import read_generator, read_image_encoder, read_text_encoder, require_same_space
from services.training.paraphrases import ParaphraseTrainer
from services.training.samples import Sampler
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import channels_last, resolve_runtime

VERSION = "1.0.0"
PARAPHRASE_SHARE = 0.2
ADVERSARIAL_FROM = 0.78
VIEW_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training command, its options resolved."""

    name: str
    pack: Pack
    out: Path
    checkpoints: Path
    minutes: float
    steps: int | None
    batch: int
    preset: str
    device: torch.device
    seed: int
    resume: bool
    console: Console

    @staticmethod
    def start(
        name: str, *, data: Path, out: Path, checkpoints: Path, minutes: float, steps: int | None,
        batch: int, preset: str, device: str, seed: int, resume: bool,
    ) -> Run:  # fmt: skip
        """Reads the pack, seeds torch and finds the device."""
        console = Console()
        runtime = resolve_runtime(RuntimeOptions(device=device))
        torch.manual_seed(seed)
        pack = read_pack(data)
        console.print(f"{name}: {len(pack.pixels)} pictures, {runtime}, seed {seed}")
        return Run(name=name, pack=pack, out=out, checkpoints=checkpoints, minutes=minutes, steps=steps, batch=batch,
                   preset=preset, device=runtime.device, seed=seed, resume=resume, console=console)  # fmt: skip

    def train(self, trainer: Trainer, *, stage: str, share: float = 1.0, space: str = "") -> Progress:
        """Trains for `share` of the budget, with a checkpoint folder of its own, for a joint space if it has one."""
        steps = None if self.steps is None else max(1, round(self.steps * share))
        budget = Budget(steps=steps, minutes=self.minutes * share)
        conditions = Conditions(resume=self.resume, space=space)
        return train(trainer, budget, self.checkpoints / stage, self.console, conditions)

    def card(self, task: str, description: str, space: str, metrics: Metrics, *progress: Progress) -> Card:
        """What model.toml says of a model that this run trained."""
        training = {
            "command": f"diptych train builtin {self.name} --seed {self.seed} --batch {self.batch}",
            "data": "pictograms",
            "pictures": int(self.pack.train.sum()),
            "held_out_pictures": int((~self.pack.train).sum()),
            "seed": self.seed,
            "steps": sum(one.step for one in progress),
            "minutes": round(sum(one.seconds for one in progress) / 60, 1),
            "commit": _commit(),
            "torch": torch.__version__,
        }
        self.console.print(metrics)
        return Card(name=f"pictograms-{task}", version=VERSION, space=space, description=description,
                    training=training, metrics=metrics)  # fmt: skip


def train_encoders(run: Run) -> None:
    """Two encoders for a new joint space: contrast with pictures first, then paraphrases for the text encoder alone."""
    pack, device = run.pack, run.device
    vocabulary = VOCABULARY if run.preset != "tiny" else 300
    tokenizer = text_tokenizer(pack, seed=run.seed, vocabulary=vocabulary)
    text_config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **TEXT_PRESETS[run.preset])
    image_config = ImageEncoderConfig(concepts=len(pack.concepts), **IMAGE_PRESETS[run.preset])
    text = TextEncoder(text_config).to(device)
    image = channels_last(ImageEncoder(image_config).to(device))

    sampler = Sampler(pack, tokenizer, device, seed=run.seed + 1, pixels=image_config.pixels, loose=0.03)
    trainer = EncoderTrainer(
        text, image, sampler, styles=len(pack.styles), space_width=text_config.space_width, batch=run.batch
    )
    first = run.train(trainer, stage="encoders", share=1 - PARAPHRASE_SHARE)
    paraphrases = ParaphraseTrainer(text, pack, tokenizer, batch=run.batch, seed=run.seed + 2)
    second = run.train(paraphrases, stage="paraphrases", share=PARAPHRASE_SHARE)
    write_encoders(run, text.eval(), text_config, image.eval(), image_config, tokenizer, (first, second))


def write_encoders(
    run: Run,
    text: TextEncoder,
    text_config: TextEncoderConfig,
    image: ImageEncoder,
    image_config: ImageEncoderConfig,
    tokenizer: Tokenizer,
    progress: tuple[Progress, Progress],
) -> None:
    """Measures both encoders and writes their directories with the id of their space."""
    zero_shot, scale = evaluate_zero_shot(text, image, tokenizer, run.pack)
    metrics = evaluate_encoders(text, image, tokenizer, run.pack) | zero_shot
    space = _space_id(image)
    write_model_directory(
        run.out / "text",
        task="text",
        module=text,
        config=text_config,
        card=run.card("text", "English and Chinese words for pictograms.", space, metrics, *progress),
        files=[write_tokenizer(run.out / "text", tokenizer)],
    )
    write_model_directory(
        run.out / "classification",
        task="classification",
        module=image,
        config=image_config,
        card=replace(
            run.card("classification", "Names and encodes pictograms.", space, metrics, progress[0]),
            serving={"zero_shot_scale": scale},
        ),
        files=[write_labels(run.out / "classification", run.pack)],
    )


def train_generation(run: Run) -> None:
    """A generator for the space of the encoders in `run.out`."""
    text, tokenizer, text_directory = read_text_encoder(run.out / "text", run.device)
    image, image_directory = read_image_encoder(run.out / "classification", run.device)
    space = require_same_space(text_directory, image_directory)
    config = GeneratorConfig(**GENERATOR_PRESETS[run.preset])  # type: ignore[arg-type]
    generator = channels_last(Generator(config).to(run.device))
    discriminator = channels_last(Discriminator(config.space_width, config.pixels).to(run.device))
    sampler = Sampler(run.pack, tokenizer, run.device, seed=run.seed + 1, pixels=config.pixels, loose=0.0)
    trainer = GeneratorTrainer(
        generator, discriminator, text, sampler, batch=run.batch, adversarial_from=ADVERSARIAL_FROM
    )
    progress = run.train(trainer, stage="generation", space=space)
    average = trainer.average.eval()
    metrics = evaluate_generator(average, text, image, tokenizer, run.pack, seed=run.seed)
    card = run.card("generation", "Paints pictograms from English or Chinese words.", space, metrics, progress)
    write_model_directory(run.out / "generation", task="generation", module=average, config=config, card=card)


def train_captioning(run: Run) -> None:
    """A caption decoder for the image encoder in `run.out`."""
    image, directory = read_image_encoder(run.out / "classification", run.device)
    tokenizer = caption_tokenizer(run.pack, vocabulary=1200 if run.preset != "tiny" else 300)
    config = CaptionerConfig(vocabulary=tokenizer.get_vocab_size(), **CAPTIONER_PRESETS[run.preset])
    captioner = Captioner(config).to(run.device)
    views = encode_views(image, run.pack, rounds=VIEW_ROUNDS, device=run.device)
    trainer = CaptionerTrainer(captioner, views, run.pack, tokenizer, batch=run.batch, seed=run.seed + 1)
    progress = run.train(trainer, stage="captioning", space=directory.space)
    metrics = evaluate_captioner(captioner.eval(), image, tokenizer, run.pack)
    card = run.card("captioning", "Describes pictograms in English or Chinese.", directory.space, metrics, progress)
    write_model_directory(
        run.out / "captioning",
        task="captioning",
        module=captioner,
        config=config,
        card=card,
        files=[write_tokenizer(run.out / "captioning", tokenizer)],
    )


@torch.inference_mode()
def paint_contact_sheet(models: Path, data: Path, file: Path, *, columns: int = 4) -> None:
    """One row of styles a concept, `columns` concepts side by side, as a PNG file."""
    pack = read_pack(data)
    text, tokenizer, _ = read_text_encoder(models / "text", torch.device("cpu"))
    generator, _ = read_generator(models / "generation", torch.device("cpu"))
    config, styles = generator.config, len(pack.styles)
    vectors = encode_captions(text, tokenizer, [clean_caption(concept, "en") for concept in pack.concepts])
    torch.manual_seed(0)
    rows = []
    for vector in vectors:
        noise = style_noise(torch.arange(styles), count=styles, width=config.noise_width)
        painted = generator.paint(vector.expand(styles, -1), noise).clamp(-1, 1)  # (S, 3, H, W)
        rows.append(painted.permute(2, 0, 3, 1).reshape(config.pixels, styles * config.pixels, 3))
    rows += [torch.ones_like(rows[0])] * (-len(rows) % columns)
    lines = [torch.cat(rows[index : index + columns], dim=1) for index in range(0, len(rows), columns)]
    pixels = (torch.cat(lines) * 127.5 + 127.5).round().to(torch.uint8).numpy()
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(file)


def _space_id(image: nn.Module) -> str:
    """A name for the space that two trainings never share: a hash of the concept prototypes."""
    prototypes = image.get_parameter("concepts").detach().cpu().numpy().tobytes()
    return f"pictograms-{hashlib.sha256(prototypes).hexdigest()[:8]}"


def _commit() -> str:
    """The commit that trains, `unknown` outside a checkout."""
    command = ["git", "-C", os.fspath(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
