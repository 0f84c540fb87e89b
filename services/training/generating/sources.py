"""Batches for the later stages of the generator: scenes with their drawings, prompts with their plans."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from services.training.data.augmentation import resized
from services.training.data.captions import random_caption
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.pool import ScenePool
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Scene
from services.training.generating.adversarial import PromptedPictures
from services.training.generating.layouts import Layout, LayoutIndex, alone_on_plain_pages, join_layouts
from services.training.generating.plans import Prompts
from services.training.generating.scene_drawings import SceneDrawings

PLAIN_SHARE = 0.2
"""Of pages, those of pictograms."""
STYLE_WORD_SHARE = 0.1
"""Of scenes' captions, those that name the style."""

StyleWords = Callable[[str, random.Random], tuple[str, str]]
"""A style to English and Chinese words for it."""


class ScenePages:
    """Scenes at the generator's size, beside the drawings they are made of.

    styles: the pack's. side: of the pictures, in pixels; one of which the pool's is a multiple.
    """

    def __init__(self, pool: ScenePool, sprites: SpriteSet, drawings: SceneDrawings, index: LayoutIndex, *,
                 styles: Sequence[str], side: int, seed: int) -> None:  # fmt: skip
        self._pool, self._sprites, self._drawings, self._index = pool, sprites, drawings, index
        self._styles, self._side = styles, side
        self.generator = self._rng = random.Random(seed)

    def draw(self, size: int) -> tuple[Tensor, Tensor, Layout, Tensor]:
        """As `PageSource.draw`; no scene twice. Raises ValueError where `size` is more than there are scenes."""
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


class AllPages:
    """Scenes' pages, and beside them pictograms alone on plain ones."""

    def __init__(self, scenes: ScenePages, pack: Pack, index: LayoutIndex, *, side: int) -> None:
        self._scenes, self._pack, self._index, self._side = scenes, pack, index, side
        self.generator = scenes.generator
        self._rows = np.flatnonzero(pack.train).tolist()

    def draw(self, size: int) -> tuple[Tensor, Tensor, Layout, Tensor]:
        """As `PageSource.draw`; the last PLAIN_SHARE of them are of pictograms."""
        few = round(size * PLAIN_SHARE)
        pictures, drawings, layout, styles = self._scenes.draw(size - few)
        more = self._alone(few)
        return (
            torch.cat((pictures, more[0])), torch.cat((drawings, more[1])), join_layouts(layout, more[2]),
            torch.cat((styles, more[3])),
        )  # fmt: skip

    def _alone(self, count: int) -> tuple[Tensor, Tensor, Layout, Tensor]:
        rows, slots = self.generator.choices(self._rows, k=count), self._index.slots
        ink = torch.from_numpy(self._pack.pixels[rows]).permute(0, 3, 1, 2).float() / 255
        opacity = torch.from_numpy(self._pack.alpha[rows])[:, None].float() / 255
        drawings = torch.zeros(count, slots, 4, *ink.shape[-2:])
        drawings[:, 0] = torch.cat((ink - 1, opacity), dim=1)
        styles = functional.one_hot(torch.from_numpy(self._pack.style[rows]).long(), len(self._pack.styles)).float()
        layout = alone_on_plain_pages(count, slots=slots, plain=len(self._index.backgrounds))
        return resized(ink, self._side), drawings, layout, styles


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Prompts, pictograms first, and what they were made of."""

    prompts: Prompts
    concepts: Sequence[int]
    """Of the B // 3 pictograms, as indices into the pack's concepts."""
    styles: Sequence[int]
    """Of all B, as indices into the pack's styles: those that the texts name, or that they are drawn in."""
    scenes: Sequence[int]
    """Rows of the pool, of the rest."""


class CaptionPrompts:
    """Captions of scenes and of pictograms, encoded, with what they ask for.

    What a caption of a scene leaves out is not asked for; a pictogram is one thing that fills a plain page.

    backgrounds: (backgrounds + 1) x C, the last row for plain pages. encode: B texts -> (B, V) of unit norm.
    """

    def __init__(self, pack: Pack, scenes: Sequence[Scene], sprites: SpriteSet, index: LayoutIndex,
                 backgrounds: nn.Embedding, encode: Callable[[Sequence[str]], Tensor], *, style_words: StyleWords,
                 seed: int) -> None:  # fmt: skip
        self._pack, self._scenes, self._sprites, self._index = pack, scenes, sprites, index
        self._backgrounds, self._encode, self._style_words = backgrounds.requires_grad_(False), encode, style_words
        self.generator = self._rng = random.Random(seed)
        self._drawn: dict[int, list[int]] = defaultdict(list)
        for row in np.flatnonzero(pack.train).tolist():
            self._drawn[int(pack.concept[row])].append(int(pack.style[row]))
        self._concepts = sorted(self._drawn)

    def draw(self, size: int) -> Prompts:
        """`size` prompts, a third of them for pictograms."""
        return self.draw_all(size).prompts

    @torch.no_grad()
    def draw_all(self, size: int) -> Drawn:
        """The same, and what they were made of. On the device of the backgrounds are vectors and backgrounds alone."""
        few, device = size // 3, self._backgrounds.weight.device
        concepts, texts, styles = self._pictograms(few)
        rows = [self._rng.randrange(len(self._scenes)) for _ in range(size - few)]
        scenes = [self._scenes[row] for row in rows]
        mentioned = []
        for scene in scenes:
            text, style, kinds = self._told(scene)
            texts.append(text)
            styles.append(style)
            mentioned.append(kinds)
        alone = alone_on_plain_pages(few, slots=self._index.slots, plain=len(self._index.backgrounds))
        layout = join_layouts(alone, self._index.read(scenes, self._sprites, mentioned))
        layout.drawing[:few] = torch.tensor(concepts, dtype=torch.long)[:, None]
        prompts = Prompts(
            vectors=self._encode(texts),
            things=layout.drawing,
            colours=layout.colour,
            presence=layout.presence,
            reversible=layout.reversible,
            boxes=layout.boxes,
            depths=layout.depths,
            background=self._backgrounds(layout.background.to(device)),
            style=torch.tensor(styles),
        )
        return Drawn(prompts=prompts, concepts=concepts, styles=styles, scenes=rows)

    def _pictograms(self, count: int) -> tuple[list[int], list[str], list[int]]:
        """Concepts, captions of them, and styles: any that a caption names, else one that the concept is drawn in."""
        rng, names = self._rng, self._pack.styles
        concepts = [rng.choice(self._concepts) for _ in range(count)]
        texts, styles = [], []
        for concept in concepts:
            style = rng.randrange(len(names))
            caption_ = random_caption(self._pack.concepts[concept], names[style], rng, loose=0.0)
            texts.append(caption_.text)
            styles.append(style if caption_.names_style else rng.choice(self._drawn[concept]))
        return concepts, texts, styles

    def _told(self, scene: Scene) -> tuple[str, int, set[str]]:
        """A caption of a scene, the scene's style, and the kinds of things."""
        rng, style = self._rng, self._pack.styles.index(scene.style)
        language = "en" if rng.random() < 0.5 else "zh"
        written = caption(scene, language, rng)
        kinds = {fact.value[0] for fact in written.facts if fact.kind == "object"}
        if rng.random() >= STYLE_WORD_SHARE:
            return written.text, style, kinds
        english, chinese = self._style_words(scene.style, rng)
        text = f"{written.text}, {english} style" if language == "en" else f"{written.text},{chinese}风格"
        return text, style, kinds


class PromptedScenes:
    """Prompts beside real pictures of what they ask for, `side` pixels a side."""

    def __init__(self, prompts: CaptionPrompts, pack: Pack, pool: ScenePool, *, side: int) -> None:
        self._prompts, self._pack, self._pool, self._side = prompts, pack, pool, side
        self.generator = prompts.generator
        self._rows: dict[tuple[int, int | None], list[int]] = defaultdict(list)
        for row in np.flatnonzero(pack.train).tolist():
            concept, style = int(pack.concept[row]), int(pack.style[row])
            self._rows[concept, style].append(row)
            self._rows[concept, None].append(row)

    def draw(self, size: int) -> PromptedPictures:
        """`size` of them; a style that the words name is the picture's where the concept is drawn in it."""
        drawn = self._prompts.draw_all(size)
        rows = [
            self.generator.choice(self._rows.get((concept, style)) or self._rows[concept, None])
            for concept, style in zip(drawn.concepts, drawn.styles, strict=False)
        ]
        parts = (self._pack.pixels[rows], self._pool.pictures(drawn.scenes))
        pictures = torch.cat([
            resized(torch.from_numpy(one).permute(0, 3, 1, 2).float(), self._side) for one in parts
        ])  # fmt: skip
        return PromptedPictures(prompts=drawn.prompts, pictures=pictures / 127.5 - 1)
