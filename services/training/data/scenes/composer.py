"""Composes a scene from a seed: plan, layout, painting at 256 px, and the truth read back from the painted masks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.data.scenes.backgrounds import PAINTED, VARIANTS, background
from services.training.data.scenes.classes import BACKGROUNDS, object_classes
from services.training.data.scenes.layout import Item, Spot, lay_out, relations_hold
from services.training.data.scenes.painting import PaintedSprites, paint_object
from services.training.data.scenes.plan import Plan, draw_plan, may_show, paints
from services.training.data.scenes.splits import SPLITS
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Group, Scene, SceneObject, find_relations

LEAST_VISIBLE = 40  # pixels of a 128 px scene
LEAST_SHARE = 0.5
"""Of a thing's own pixels: what is hidden more than this is not told from what it is."""
FIXED_SIDE = {"rainbow", "moon", "book"}
"""Things that a mirror makes wrong."""
FRONT_SHARE = 0.4
"""Of the scenes with two standing kinds, those that put one in front of the other."""


@dataclass(frozen=True, kw_only=True)
class ComposedScene:
    """A picture and what it truly shows."""

    scene: Scene
    pixels: NDArray[np.uint8]
    """(side, side, 3)."""
    instances: NDArray[np.uint8]
    """(side, side): 0 is background, i + 1 is `scene.objects[i]`."""


@dataclass(frozen=True, kw_only=True)
class _Cast:
    """One object with its sprite, chosen but not placed."""

    kind: str
    stance: str
    sprite: int
    paint: str | None
    colour: str | None
    verb: str | None
    mirrored: bool


def compose(seed: int, sprites: SpriteSet, *, split: str = "train", side: int = 128) -> ComposedScene:
    """The scene of a seed. Equal seeds give equal scenes; the splits share no seed's scene.

    `side` is 256 or a part of it, such as 128 or 64. `train` and `validation` have no held-out pair; half of `test`
    is made around one.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; there are {', '.join(SPLITS)}")
    _check_side(side)
    rng = random.Random(f"scene/{split}/{seed}")
    while True:
        scene = _compose(rng, draw_plan(rng, sprites, split), seed, sprites, split, side)
        if scene is not None:
            return scene


def compose_like(plan: Plan, seed: int, sprites: SpriteSet, *, split: str = "test", side: int = 128) -> ComposedScene:
    """A scene that fulfils `plan`, by chance in all that the plan leaves open; other seeds, other scenes.

    Raises ValueError when forty tries found none, as for a whale on the street.
    """
    _check_side(side)
    rng = random.Random(f"like/{split}/{seed}")
    for _ in range(40):
        style = plan.style or rng.choice(sprites.styles)
        places = [plan.background] if plan.background else _common_backgrounds(plan.groups)
        if not places:
            break
        chosen = Plan(groups=plan.groups, background=rng.choice(places), style=style, relations=plan.relations)
        scene = _compose(rng, chosen, seed, sprites, split, side)
        if scene is not None:
            return scene
    raise ValueError(f"no scene shows {', '.join(each.kind for each in plan.groups)} as asked")


def _check_side(side: int) -> None:
    if side < 1 or PAINTED % side:
        raise ValueError(f"side is {side}; scenes are painted at {PAINTED} and averaged down to a part of it")


def _common_backgrounds(wanted: Sequence[Group]) -> list[str]:
    classes = object_classes()
    return [name for name in BACKGROUNDS if all(name in classes[each.kind].stances for each in wanted)]


def _compose(
    rng: random.Random, plan: Plan, seed: int, sprites: SpriteSet, split: str, side: int
) -> ComposedScene | None:
    assert plan.background is not None
    assert plan.style is not None
    cast = _cast(rng, plan, sprites, split)
    if cast is None:
        return None
    shapes = [sprites.sprites[each.sprite].picture.shape for each in cast]
    items = [
        Item(kind=each.kind, stance=each.stance, aspect=shape[1] / shape[0])
        for each, shape in zip(cast, shapes, strict=True)
    ]
    wanted = plan.relations or _some_depth(rng, cast)
    spots = lay_out(rng, plan.background, items, wanted)
    if spots is None:
        return None
    order = sorted(range(len(cast)), key=lambda index: _painting_order(cast[index], spots[index]))
    canvas = background(plan.background, rng.randrange(VARIANTS)).copy()
    instances = Image.new("L", canvas.size)
    painted = _painted_sprites(sprites)
    covered = []
    for rank, index in enumerate(order):
        each = cast[index]
        pixels = paint_object(
            canvas, instances, rank + 1, painted, each.sprite, box=spots[index].box, paint=each.paint,
            mirrored=each.mirrored, stance=each.stance, dark=plan.background == "night",
        )  # fmt: skip
        covered.append(pixels * (side / PAINTED) ** 2)
    factor = PAINTED // side
    labels = (
        np.asarray(instances)[factor // 2 :: factor, factor // 2 :: factor] if factor > 1 else np.asarray(instances)
    )
    objects = _read_back(labels, [(cast[index], spots[index]) for index in order], covered)
    if objects is None or (plan.relations and not relations_hold(objects, plan.relations)):
        return None
    scene = Scene(seed=seed, style=plan.style, background=plan.background, objects=objects,
                  relations=find_relations(objects))  # fmt: skip
    picture = np.asarray(canvas.reduce(factor) if factor > 1 else canvas)
    return ComposedScene(scene=scene, pixels=picture, instances=labels)


def _cast(rng: random.Random, plan: Plan, sprites: SpriteSet, split: str) -> list[_Cast] | None:
    """Chooses each group's sprite; None when the style has none that fits."""
    assert plan.background is not None
    assert plan.style is not None
    cast = []
    for group in plan.groups:
        stance = object_classes()[group.kind].stances.get(plan.background)
        fitting = []
        for index in sprites.of.get((plan.style, group.kind), ()):
            sprite = sprites.sprites[index]
            if group.verb in (None, sprite.verb) and (group.colour in (None, sprite.colour) or sprite.paintable):
                colour = group.colour or sprite.colour
                if colour is None and not sprite.plain:
                    colour = rng.choice(paints(group.kind, split))
                if split == "test" or may_show(group.kind, colour, plan.background):
                    fitting.append((index, colour))
        if stance is None or not fitting:
            return None
        index, colour = rng.choice(fitting)
        sprite = sprites.sprites[index]
        paint = colour if colour != sprite.colour else None
        for _ in range(group.count):
            mirrored = group.kind not in FIXED_SIDE and rng.random() < 0.5
            cast.append(_Cast(kind=group.kind, stance=stance, sprite=index, paint=paint, colour=colour,
                              verb=sprite.verb, mirrored=mirrored))  # fmt: skip
    return cast if 0 < len(cast) <= 5 else None


@lru_cache(maxsize=1)
def _painted_sprites(sprites: SpriteSet) -> PaintedSprites:
    """One cache a process: training workers are processes."""
    return PaintedSprites(sprites.sprites)


def _some_depth(rng: random.Random, cast: Sequence[_Cast]) -> tuple[tuple[str, str, str], ...]:
    """Chance alone seldom puts one thing in front of another."""
    single = [each for each in cast if each.stance in ("ground", "far", "float")]
    single = [each for each in single if sum(other.kind == each.kind for other in cast) == 1]
    if len(single) < 2 or rng.random() > FRONT_SHARE:
        return ()
    first, second = rng.sample(single, 2)
    if first.stance == "far":
        first, second = second, first
    return ((first.kind, "in-front-of", second.kind),)


def _painting_order(each: _Cast, spot: Spot) -> tuple[int, float]:
    layer = 0 if each.kind == "rainbow" else 1 if each.stance == "sky" else 2
    return layer, spot.box[3]


def _read_back(
    labels: NDArray[np.uint8], placed: Sequence[tuple[_Cast, Spot]], covered: Sequence[float]
) -> tuple[SceneObject, ...] | None:
    """The objects with the boxes of their visible pixels; None when one is hidden too much."""
    side = len(labels)
    least = LEAST_VISIBLE * (side / 128) ** 2
    objects = []
    for index, (each, spot) in enumerate(placed):
        mask = labels == index + 1
        visible = int(np.count_nonzero(mask))
        if visible < max(least, LEAST_SHARE * covered[index]):
            return None
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        objects.append(SceneObject(kind=each.kind, colour=each.colour, verb=each.verb, stance=each.stance,
                                   box=(x0 / side, y0 / side, x1 / side, y1 / side), depth=spot.depth, visible=visible,
                                   mirrored=each.mirrored, sprite=each.sprite))  # fmt: skip
    return tuple(objects)
