"""Batches for the later stages of the generator: scenes with their drawings, prompts with their plans."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from services.training.data.captions import random_caption
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.pool import ScenePool
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Scene
from services.training.generating.layouts import Layout, LayoutIndex
from services.training.generating.plans import Prompts
from services.training.generating.scene_drawings import SceneDrawings
from services.training.generating.things import ContentTable

STYLE_WORD_SHARE = 0.1

StyleWords = Callable[[str, random.Random], tuple[str, str]]
"""A style to English and Chinese words for it."""


class ScenePages:
    """Scenes at the generator's size, beside the drawings they are made of."""

    def __init__(self, pool: ScenePool, sprites: SpriteSet, drawings: SceneDrawings, index: LayoutIndex, *,
                 styles: Sequence[str], side: int, seed: int) -> None:  # fmt: skip
        self._pool, self._sprites, self._drawings, self._index = pool, sprites, drawings, index
        self._styles, self._side = styles, side
        self.generator = self._rng = random.Random(seed)

    def draw(self, size: int) -> tuple[Tensor, Tensor, Layout, Tensor]:
        """Pictures (B, 3, H, W) in [0, 1], drawings (B, K, 4, S, S), layouts, styles (B, S) one-hot."""
        rows = self._rng.sample(range(len(self._pool)), size)
        scenes = [self._pool.scenes[row] for row in rows]
        layout = self._index.read(scenes, self._sprites)
        pictures = torch.from_numpy(self._pool.pictures(rows)).permute(0, 3, 1, 2).float() / 255
        pictures = functional.avg_pool2d(pictures, pictures.shape[-1] // self._side)
        colours = [None, *self._index.colours]
        chosen = torch.tensor([
            [self._drawings.of_sprite.get((sprite, colours[colour]), self._drawings.of_sprite.get((sprite, None), 0))
             for sprite, colour in zip(one, other, strict=True)]
            for one, other in zip(layout.sprites.tolist(), layout.colour.tolist(), strict=True)
        ])  # fmt: skip
        ink = self._drawings.ink[chosen].float() / 255 - 1
        drawings = torch.cat((ink, self._drawings.opacity[chosen].float() / 255), dim=2)
        style = torch.tensor([self._styles.index(scene.style) for scene in scenes])
        return pictures, drawings, layout, functional.one_hot(style, len(self._styles)).float()


class CaptionPrompts:
    """Captions of scenes and of pictograms, encoded, with what they ask for.

    What a caption of a scene leaves out is not asked for; a pictogram is one thing that fills a plain page.
    """

    def __init__(self, pack: Pack, scenes: Sequence[Scene], sprites: SpriteSet, index: LayoutIndex, table: ContentTable,
                 encode: Callable[[Sequence[str]], Tensor], *, style_words: StyleWords,
                 seed: int) -> None:  # fmt: skip
        self._pack, self._scenes, self._sprites, self._index = pack, scenes, sprites, index
        self._table, self._encode, self._style_words = table.requires_grad_(False), encode, style_words
        self.generator = self._rng = random.Random(seed)
        self._concepts = sorted(set(pack.concept[pack.train].tolist()))

    @torch.no_grad()
    def draw(self, size: int) -> Prompts:
        """`size` prompts, a third of them for pictograms."""
        few = size // 3
        rng, styles = self._rng, self._pack.styles
        concepts = [rng.choice(self._concepts) for _ in range(few)]
        drawn = [rng.randrange(len(styles)) for _ in range(few)]
        captions = [
            random_caption(self._pack.concepts[c], styles[s], rng, loose=0.0)
            for c, s in zip(concepts, drawn, strict=True)
        ]
        texts = [one.text for one in captions]
        style = [s if one.names_style else len(styles) for s, one in zip(drawn, captions, strict=True)]
        scenes = [rng.choice(self._scenes) for _ in range(size - few)]
        mentioned = []
        for scene in scenes:
            language = "en" if rng.random() < 0.5 else "zh"
            written = caption(scene, language, rng)
            text = written.text
            mentioned.append({fact.value[0] for fact in written.facts if fact.kind == "object"})
            named = rng.random() < STYLE_WORD_SHARE
            style.append(styles.index(scene.style) if named else len(styles))
            if named:
                english, chinese = self._style_words(scene.style, rng)
                text = f"{text}, {english} style" if language == "en" else f"{text},{chinese}风格"
            texts.append(text)
        layout = self._index.read(scenes, self._sprites, mentioned)
        slots = self._index.slots
        contents = torch.cat((
            self._table.things(torch.tensor(concepts), torch.zeros(few, dtype=torch.long))[:, None].repeat(1, slots, 1),
            self._table.things(layout.drawing.flatten(), layout.colour.flatten()).view(len(scenes), slots, -1),
        ))  # fmt: skip
        alone = torch.zeros(few, slots)
        alone[:, 0] = 1
        plain = torch.full((few,), len(self._index.backgrounds))
        return Prompts(
            vectors=self._encode(texts),
            contents=contents,
            presence=torch.cat((alone, layout.presence)),
            boxes=torch.cat((torch.tensor([0.5, 0.5, 1.0]).repeat(few, slots, 1), layout.boxes)),
            depths=torch.cat((torch.zeros(few, slots), layout.depths)),
            background=self._table.backgrounds(torch.cat((plain, layout.background))),
            style=torch.tensor(style),
        )
