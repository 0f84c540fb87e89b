"""Scenes for tests, written down: each thing is a square of its colour on a background of one colour."""

from __future__ import annotations

import numpy as np

from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.truth import Scene, SceneObject, find_relations
from services.training.evaluation.scenes import CaptionedScene

PAINT = {"red": (220, 30, 30), "blue": (30, 30, 220), "black": (30, 30, 30)}
GROUND = {"meadow": (120, 200, 90), "beach": (240, 220, 150), "snow": (235, 240, 250)}


def thing(kind: str, colour: str | None = None, *, left: float = 0.1, foot: float = 0.9) -> SceneObject:
    """A fifth of the side wide and high, its left edge and its foot where they are said to be."""
    return SceneObject(kind=kind, colour=colour, verb=None, stance="ground", box=(left, foot - 0.2, left + 0.2, foot),
                       depth=foot, visible=400, mirrored=False, sprite=0)  # fmt: skip


def captioned(background: str, *objects: SceneObject, seed: int = 0, side: int = 64) -> CaptionedScene:
    """A scene with its picture and, as captions, those that state all."""
    scene = Scene(seed=seed, style="noto", background=background, objects=objects, relations=find_relations(objects))
    pixels = np.empty((side, side, 3), np.uint8)
    pixels[:] = GROUND[background]
    for each in objects:
        x0, y0, x1, y1 = (round(side * edge) for edge in each.box)
        pixels[y0:y1, x0:x1] = PAINT.get(each.colour or "", (240, 140, 60))
    captions = {language: canonical_caption(scene, language) for language in LANGUAGES}
    return CaptionedScene(scene=scene, pixels=pixels, captions=captions)
