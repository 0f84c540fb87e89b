"""`diptych train judge`: trains the judge, fits its threshold, scores it on real held-out pictures, writes it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from services.training.data.pack import Pack, read_pack
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.sprites import SpriteSet, read_sprites
from services.training.data.scenes.truth import true_facts
from services.training.evaluation.bootstrap import Estimate, f1, mean
from services.training.evaluation.classification import rows_of
from services.training.evaluation.judge import Judge, JudgeConfig, JudgeNetwork, write_judge
from services.training.evaluation.judge_training import JudgeTrainer, LabelledPool, fit_threshold
from services.training.evaluation.painted import ASPECTS, score_pictures
from services.training.evaluation.scenes import CaptionedScene, captioned_scenes
from services.training.loop import Budget, Conditions, train
from shared.inference.runtime import channels_last

PIXELS = 64
POOL = 8192
"""Scenes kept for drawing: 150 MB, composed in about a minute before the first step."""
VALIDATION_SCENES = 1000
MODEL_SEED = 77_001
"""Added to --seed: no model that is judged starts from these weights or sees this order of data."""


def train_judge(*, data: Path, sprites_file: Path, out: Path, checkpoints: Path, minutes: float, steps: int | None,
                batch: int, pool: int, seed: int, resume: bool, console: Console) -> Judge:  # fmt: skip
    """Trains on rows of split `train` and on scenes of split `train`; writes the judge to `out`.

    Raises ConfigurationError where there is no pack or no sprites, or a checkpoint of other options.
    """
    pack, sprites = read_pack(data), read_sprites(sprites_file)
    config = judge_config(pack)
    torch.manual_seed(MODEL_SEED + seed)
    network = channels_last(JudgeNetwork(config))
    with console.status(f"composing {pool} scenes"):
        scenes = LabelledPool(sprites, config, size=pool, seed=MODEL_SEED + seed)
    trainer = JudgeTrainer(network, config, pack, scenes, batch=batch, seed=MODEL_SEED + seed)
    fixed = {"--seed": seed, "--batch": batch}  # judge.json says them of all its steps
    budget, conditions = Budget(steps=steps, minutes=minutes), Conditions(resume=resume, options=fixed)
    progress = train(trainer, budget, checkpoints / "judge", console, conditions)
    judge = with_threshold(network, config, sprites)
    scores = own_scores(judge, pack, sprites)
    console.print({name: str(score) for name, score in scores.items()})
    facts = {
        "command": f"diptych train judge --seed {seed} --batch {batch}",
        "steps": progress.step,
        "pictures": progress.step * batch,
        "minutes": round(progress.seconds / 60, 1),
        "seed": seed,
        "torch": torch.__version__,
        "own_scores": {name: [score.value, score.low, score.high, score.samples] for name, score in scores.items()},
    }
    write_judge(judge, out, facts)
    return judge


def judge_config(pack: Pack) -> JudgeConfig:
    """All that a pack's pictograms and the scenes can show."""
    return JudgeConfig(
        pixels=PIXELS,
        objects=tuple(object_classes()),
        colours=tuple(COLOURS),
        backgrounds=tuple(BACKGROUNDS),
        concepts=tuple(concept.id for concept in pack.concepts),
    )


def with_threshold(network: JudgeNetwork, config: JudgeConfig, sprites: SpriteSet) -> Judge:
    """The judge with the threshold that suits scenes of split `validation`."""
    scenes = list(islice(captioned_scenes(sprites, split="validation"), VALIDATION_SCENES))
    sure = Judge(network, config).highest(np.stack([each.pixels for each in scenes]))
    threshold = fit_threshold(sure, _present(scenes, config))
    return Judge(network, JudgeConfig(**{**vars(config), "threshold": threshold}))


def own_scores(judge: Judge, pack: Pack, sprites: SpriteSet) -> dict[str, Estimate]:
    """What the judge gets right in real held-out pictures: objects, each aspect of the truth, pictograms' concepts."""
    scenes = list(islice(captioned_scenes(sprites), VALIDATION_SCENES))
    pictures = np.stack([each.pixels for each in scenes])
    there = _present(scenes, judge.config)
    said = judge.highest(pictures) >= judge.config.threshold
    scored = score_pictures(judge, pictures, [true_facts(each.scene) for each in scenes])
    rows = rows_of(pack, "test_pair")
    wanted = [pack.concepts[index].id for index in pack.concept[rows]]
    named = judge.name_concepts(pack.pixels[rows])
    return {
        "objects F1": f1((said & there).sum(axis=1), said.sum(axis=1), there.sum(axis=1)),
        **{aspect: scored.share(aspect) for aspect in ASPECTS},
        "concept top-1": mean([one == other for one, other in zip(named, wanted, strict=True)]),
    }


def _present(scenes: list[CaptionedScene], config: JudgeConfig) -> NDArray[np.bool_]:
    """(N, objects): which classes each scene shows."""
    kinds = [{each.kind for each in scene.scene.objects} for scene in scenes]
    return np.array([[name in shown for name in config.objects] for shown in kinds])
