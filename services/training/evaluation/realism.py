"""Whether painted scenes look like real ones, and differ like real ones: FID, precision, recall, diversity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import SceneCaption
from services.training.data.scenes.sprites import SpriteSet
from services.training.evaluation.bootstrap import ratio
from services.training.evaluation.features import features
from services.training.evaluation.fid import frechet_distance, mean_pairwise_distance, precision_recall
from services.training.evaluation.figures import Figure, Target, not_measured
from services.training.evaluation.judge import judge_input
from services.training.evaluation.scenes import REFERENCE_SEED, captioned_scenes, scene_of
from services.training.evaluation.served import ServedModels

DIVERSITY = Target(must=0.60, goal=0.90)
SEEDS = 16


def measure_realism(
    models: ServedModels, network: nn.Module, sprites: SpriteSet, number: int, diverse: int
) -> list[Figure]:
    """FID, precision and recall of `number` painted pictures, and the diversity of `diverse` prompts.

    `number` held-out scenes give the prompts, the languages in turn, and are the real side of real-versus-real; as many
    others are what both are compared with. All pictures are averaged down to the generator's side first.
    """
    side = models.generation.info.image_side
    real, prompts = _featured(network, sprites, first_seed=0, number=number, side=side)
    others, _ = _featured(network, sprites, first_seed=REFERENCE_SEED, number=number, side=side)
    vectors = models.encode_texts([prompt.text for prompt in prompts])
    painted = features(network, models.paint(vectors, range(number)))
    precision, recall = precision_recall(others, painted)
    real_precision, real_recall = precision_recall(others, real)
    note = f"{number} pictures of {side} px a set, EfficientNet-Lite0; lower is better"
    return [
        Figure(name="text_to_image.scenes.fid", title="text to scene: FID", estimate=frechet_distance(others, painted),
               beside={"real versus real": frechet_distance(others, real)}, note=note),
        Figure(name="text_to_image.scenes.precision", title="text to scene: precision of features",
               estimate=precision, beside={"real versus real": real_precision}),
        Figure(name="text_to_image.scenes.recall", title="text to scene: recall of features",
               estimate=recall, beside={"real versus real": real_recall}),
        measure_diversity(models, network, sprites, prompts[:diverse]),
    ]  # fmt: skip


def _featured(
    network: nn.Module, sprites: SpriteSet, *, first_seed: int, number: int, side: int
) -> tuple[NDArray[np.float32], list[SceneCaption]]:
    """Features of so many held-out scenes, (N, D), and a caption of each, the languages in turn."""
    prompts: list[SceneCaption] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index, each in enumerate(islice(captioned_scenes(sprites, first_seed=first_seed), number)):
            prompts.append(each.captions[LANGUAGES[index % len(LANGUAGES)]])
            yield resized(each.pixels, side)

    return features(network, pictures()), prompts


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(H, W, 3) -> (side, side, 3), averaged down."""
    picture = judge_input(pixels[None], side)[0]
    return (picture.permute(1, 2, 0) * 127.5 + 127.5).round().to(torch.uint8).numpy()


def measure_diversity(
    models: ServedModels, network: nn.Module, sprites: SpriteSet, prompts: Sequence[SceneCaption]
) -> Figure:
    """Mean pairwise distance of the features of 16 seeds of a prompt, over that of 16 real scenes of the same caption.

    The real scenes show what the caption says and no other kinds of things; all else, the art style too, is by chance.
    A prompt of which they cannot be composed is left out.
    """
    composed = [[scene_of(prompt.facts, seed, sprites) for seed in range(SEEDS)] for prompt in prompts]
    found = [[each for each in row if each is not None] for row in composed]
    pairs = [(prompt, row) for prompt, row in zip(prompts, found, strict=True) if len(row) == SEEDS]
    name, title = "text_to_image.diversity", "diversity: 16 seeds of a prompt, mean distance, ratio to real"
    if not pairs:
        return not_measured(name, title, "no real scenes of the prompts can be composed", DIVERSITY)
    side = models.generation.info.image_side
    vectors = models.encode_texts([prompt.text for prompt, _ in pairs])
    pictures = models.paint(np.repeat(vectors, SEEDS, axis=0), list(range(SEEDS)) * len(pairs))
    painted = features(network, pictures).reshape(len(pairs), SEEDS, -1)
    real = features(network, (resized(each.pixels, side) for _, row in pairs for each in row))
    ours, theirs = (
        [mean_pairwise_distance(rows) for rows in each] for each in (painted, real.reshape(len(pairs), SEEDS, -1))
    )
    return Figure(
        name=name,
        title=title,
        estimate=ratio(ours, theirs),
        target=DIVERSITY,
        beside={"painted": float(np.mean(ours)), "real": float(np.mean(theirs))},
    )
