"""What the generator's planner learns from: captions, the rows that they mean, and what backgrounds are known by."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.generation.model import Generator
from services.text.model import TextEncoder
from services.training.builtin.material import Material
from services.training.builtin.measuring import encode_captions
from services.training.data.captions import STYLE_WORDS, label
from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.generating.layouts import LayoutIndex
from services.training.generating.plans import planned_backgrounds
from services.training.generating.scene_drawings import table_rows
from services.training.generating.sources import CaptionPrompts

TEXTS_A_BACKGROUND = 200

Encode = Callable[[Sequence[str]], Tensor]
"""B texts -> (B, V) of unit norm."""


def caption_encoder(text: TextEncoder, tokenizer: Tokenizer) -> Encode:
    """The text encoder in bf16, which takes half the time on a CPU, for vectors that get noise anyway."""

    def encode(texts: Sequence[str]) -> Tensor:
        with torch.autocast(text.embedding.weight.device.type, dtype=torch.bfloat16):
            return encode_captions(text, tokenizer, texts).float()

    return encode


def layout_index(material: Material, *, slots: int) -> LayoutIndex:
    """Which row of the table, which colour and which background stands for what."""
    return LayoutIndex(
        rows=table_rows(material.sprites, len(material.pack.concepts)), colours=list(COLOURS),
        backgrounds=list(BACKGROUNDS), slots=slots,
    )  # fmt: skip


def caption_prompts(
    material: Material, generator: Generator, backgrounds: nn.Embedding, encode: Encode, *, seed: int
) -> CaptionPrompts:
    """Captions of pictograms and of the pool's scenes."""
    index = layout_index(material, slots=generator.config.slots)
    return CaptionPrompts(material.pack, material.pool.scenes, material.sprites, index, backgrounds, encode,
                          style_words=style_words, seed=seed)  # fmt: skip


def style_words(style: str, rng: random.Random) -> tuple[str, str]:
    """An English and a Chinese word for a style."""
    english, chinese = STYLE_WORDS[style]
    return rng.choice(english), rng.choice(chinese)


def named_backgrounds(material: Material, generator: Generator, encode: Encode) -> nn.Embedding:
    """What a trained generator knows backgrounds by, the last row for plain pages: (backgrounds + 1, C).

    No model directory holds the table that its painter learnt from. It is the mean of what the planner says.
    """
    table = nn.Embedding(len(BACKGROUNDS) + 1, generator.config.content_width)
    with torch.no_grad():
        for row, texts in enumerate(_texts(material)):
            if texts:
                table.weight[row] = planned_backgrounds(generator.planner, encode(texts)).mean(dim=0)
    return table.to(generator.planner.places.device)


def _texts(material: Material) -> list[list[str]]:
    """By background captions that name it, at last those of pictograms."""
    found = []
    for background in BACKGROUNDS:
        some = [scene for scene in material.pool.scenes if scene.background == background][:TEXTS_A_BACKGROUND]
        found.append([canonical_caption(scene, language).text for scene in some for language in LANGUAGES])
    plain = material.pack.concepts[:TEXTS_A_BACKGROUND]
    return [*found, [label(concept, language) for concept in plain for language in LANGUAGES]]
