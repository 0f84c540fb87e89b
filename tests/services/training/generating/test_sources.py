"""What the generator is shown is what its prompts and layouts say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from services.generation.layers import stack
from services.training.data.captions import STYLE_WORDS
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.data.scenes.paint import repaint
from services.training.data.scenes.parser import parse
from services.training.data.scenes.sprites import PLANTS
from services.training.data.scenes.truth import Scene, SceneObject
from services.training.data.sources import STYLES
from services.training.generating.layouts import square
from services.training.generating.pages import picture_layers
from services.training.generating.scene_drawings import fit
from services.training.generating.sources import AllPages, CaptionPrompts, PromptedScenes, ScenePages
from services.training.tiny import tiny_pack
from tests.services.training.generating.scenery import SLOTS, drawings, index, pool, sprites

SIDE = 32
NAMED = {"en": " style", "zh": "风格"}
"""How a caption of a scene ends that names its style."""


def _drawing(one: SceneObject) -> Tensor:
    """(4, S, S): ink less white and opacity of an object's drawing, in its colour."""
    sprite = sprites().sprites[one.sprite]
    picture = sprite.picture
    if one.colour not in (None, sprite.colour):
        picture = repaint(picture, str(one.colour), leaves=one.kind in PLANTS)
    ink, opacity = (torch.from_numpy(part.astype(np.float32)) / 255 for part in fit(picture))
    return torch.cat((ink.permute(2, 0, 1) - 1, opacity[None]))


def _thumbnails() -> Tensor:
    """(N, 3, SIDE, SIDE) in [0, 1]: every picture of the pool."""
    pixels = torch.from_numpy(pool().pictures(range(len(pool())))).permute(0, 3, 1, 2).float() / 255
    return functional.avg_pool2d(pixels, pixels.shape[-1] // SIDE)


def _shown(picture: Tensor, among: Tensor) -> int:
    """Which of (N, 3, H, W) a picture (3, H, W) is."""
    far = (among - picture).abs().amax(dim=(1, 2, 3))
    assert far.min() < 1e-2 and (far < 1e-2).sum() == 1
    return int(far.argmin())


def test_pages_hold_the_drawings_of_their_own_objects_slot_by_slot(tmp_path: Path) -> None:
    pages = ScenePages(pool(), sprites(), drawings(tmp_path), index(), styles=STYLES, side=SIDE, seed=3)
    pictures, ink, layout, styles = pages.draw(len(pool()))
    rows = [_shown(picture, _thumbnails()) for picture in pictures]
    assert sorted(rows) == list(range(len(pool())))
    for place, row in enumerate(rows):
        scene = pool().scenes[row]
        assert STYLES[int(styles[place].argmax())] == scene.style and styles[place].sum() == 1
        assert list(BACKGROUNDS)[int(layout.background[place])] == scene.background
        left = list(scene.objects)
        for slot in range(int(layout.presence[place].sum())):
            box = layout.boxes[place, slot]
            one = next(each for each in left if torch.equal(torch.tensor(square(each, sprites())), box))
            left.remove(one)
            assert layout.drawing[place, slot] == index().rows[one.kind, one.verb]
            assert ["", *COLOURS][int(layout.colour[place, slot])] == (one.colour or "")
            assert layout.depths[place, slot] == scene.objects.index(one) / 4
            assert bool(layout.mirrored[place, slot]) == one.mirrored
            assert torch.allclose(ink[place, slot], _drawing(one)), (one.kind, one.colour)
        assert left == []


def test_pages_of_pictograms_are_plain_and_hold_one_drawing_that_fills_them(tmp_path: Path) -> None:
    pack = tiny_pack()
    side = pack.pixels.shape[1]
    scenes = ScenePages(pool(), sprites(), drawings(tmp_path), index(), styles=STYLES, side=side, seed=3)
    pages = AllPages(scenes, pack, index(), side=side)
    pictures, ink, layout, styles = pages.draw(10)
    assert layout.background[-2:].tolist() == [len(BACKGROUNDS)] * 2
    assert (layout.background[:-2] < len(BACKGROUNDS)).all()
    white = torch.ones(10, 3, side, side)
    whole = stack(white, picture_layers(ink, layout, side), layout.depths, layout.presence)
    known = torch.from_numpy(pack.pixels[pack.train]).permute(0, 3, 1, 2) / 255
    for place in (8, 9):
        assert (known - pictures[place]).abs().amax(dim=(1, 2, 3)).min() == 0
        assert torch.allclose(whole[place], pictures[place], atol=1e-5)
        assert styles[place].sum() == 1


def test_slots_are_in_the_order_of_the_table_and_then_from_left_to_right() -> None:
    layout = index().read(pool().scenes, sprites())
    several = 0
    for place in range(len(pool())):
        there = int(layout.presence[place].sum())
        keys = [(int(layout.drawing[place, slot]), float(layout.boxes[place, slot, 0])) for slot in range(there)]
        assert keys == sorted(keys) and layout.presence[place, there:].sum() == 0
        several += there > len({row for row, _ in keys})
    assert several  # scenes have two of a kind


class _Heard:
    """Stands for the text encoder: keeps the texts, and gives each a vector of its own."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Tensor:
        self.texts = list(texts)
        return functional.one_hot(torch.arange(len(texts)), 256).float()


def _prompts(heard: _Heard, seed: int = 0) -> CaptionPrompts:
    backgrounds = nn.Embedding(len(BACKGROUNDS) + 1, 3)
    nn.init.zeros_(backgrounds.weight)
    backgrounds.weight.data[:, 0] = torch.arange(len(BACKGROUNDS) + 1)  # so that it can be read back
    return CaptionPrompts(
        tiny_pack(), pool().scenes, sprites(), index(), backgrounds, heard, style_words=_style_words, seed=seed
    )


def _style_words(style: str, rng: random.Random) -> tuple[str, str]:
    english, chinese = STYLE_WORDS[style]
    return english[0], chinese[0]


def _kinds(text: str) -> set[str]:
    """The kinds of things that a scene's caption mentions, in either language, its style left away."""
    language = "en" if text.isascii() else "zh"
    told = text.rsplit("," if language == "zh" else ", ", 1)[0] if text.endswith(NAMED[language]) else text
    return {fact.value[0] for fact in parse(told, language) if fact.kind == "object"}


def test_prompts_of_scenes_ask_for_what_their_captions_mention_and_nothing_else() -> None:
    heard, left_out, named = _Heard(), 0, 0
    drawn = _prompts(heard).draw_all(180)
    prompts, kinds = drawn.prompts, {row: kind for (kind, _), row in index().rows.items()}
    assert len(drawn.scenes) == 120
    for place, row in enumerate(drawn.scenes, start=60):
        scene, text, there = pool().scenes[row], heard.texts[place], prompts.presence[place] > 0
        mentioned = _kinds(text)
        wanted = [one for one in scene.objects if one.kind in mentioned]
        assert {one.kind for one in wanted} == mentioned
        assert sorted(kinds[int(thing)] for thing in prompts.things[place][there]) == sorted(
            one.kind for one in wanted
        ), text
        assert prompts.background[place, 0] == list(BACKGROUNDS).index(scene.background)
        assert STYLES[int(prompts.style[place])] == scene.style
        if text.endswith(tuple(NAMED.values())):
            assert any(word in text for words in STYLE_WORDS[scene.style] for word in words)
            named += 1
        left_out += len(wanted) < len(scene.objects)
    assert left_out and named  # or this would prove nothing


def test_prompts_of_pictograms_ask_for_one_thing_that_fills_a_plain_page() -> None:
    heard, pack = _Heard(), tiny_pack()
    drawn = _prompts(heard).draw_all(180)
    prompts, few = drawn.prompts, slice(0, 60)
    assert len(drawn.concepts) == 60 and prompts.things[few, 0].tolist() == list(drawn.concepts)
    for text, concept in zip(heard.texts, drawn.concepts, strict=False):
        named = [one for one in pack.concepts if one.en in text.lower() or one.zh in text]
        assert named == [pack.concepts[concept]]
    assert prompts.presence[few].tolist() == [[1.0] + [0.0] * (SLOTS - 1)] * 60
    assert prompts.boxes[few, 0].tolist() == [[0.5, 0.5, 1.0]] * 60
    assert (prompts.background[few, 0] == len(BACKGROUNDS)).all()
    assert not prompts.colours[few].any() and not prompts.reversible[few].any() and not prompts.depths[few].any()


def _styles_named(text: str) -> set[int]:
    """The styles that a pictogram's caption may name: some words are parts of others."""
    named = [
        style for style, words in STYLE_WORDS.items() if any(word in text.lower() for one in words for word in one)
    ]
    return {STYLES.index(style) for style in named}


def test_pictures_beside_prompts_are_of_the_concept_in_the_style_that_words_name() -> None:
    heard, pack, known = _Heard(), tiny_pack(), 0
    prompted = PromptedScenes(_prompts(heard, seed=1), pack, pool(), side=64)
    pairs = PromptedScenes(_prompts(heard, seed=1), pack, pool(), side=64).draw(180)
    assert torch.equal(prompted.draw(180).pictures, pairs.pictures)
    rows = torch.from_numpy(pack.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    drawn_in = set(zip(pack.concept[pack.train].tolist(), pack.style[pack.train].tolist(), strict=True))
    for place in range(60):
        row, text = _shown(pairs.pictures[place], rows), heard.texts[place]
        concept, style = int(pack.concept[row]), int(pack.style[row])
        assert pack.train[row] and concept == pairs.prompts.things[place, 0]
        named = {one for one in _styles_named(text) if (concept, one) in drawn_in}
        assert not named or style in named, text
        known += bool(named)
    assert known


def test_pictures_beside_prompts_of_scenes_show_what_is_asked_for() -> None:
    heard = _Heard()
    pairs = PromptedScenes(_prompts(heard), tiny_pack(), pool(), side=SIDE).draw(90)
    pictures = torch.from_numpy(pool().pictures(range(len(pool())))).permute(0, 3, 1, 2).float()
    small = functional.interpolate(pictures, size=(SIDE, SIDE), mode="bilinear", antialias=True) / 127.5 - 1
    for place in range(30, 90):
        scene: Scene = pool().scenes[_shown(pairs.pictures[place], small)]
        assert _kinds(heard.texts[place]) <= {one.kind for one in scene.objects}
        assert pairs.prompts.background[place, 0] == list(BACKGROUNDS).index(scene.background)
        assert STYLES[int(pairs.prompts.style[place])] == scene.style
