"""The ten backgrounds: gradients, hills, water and lane marks in jittered palettes, each painted once and kept.

No background draws what is a class of its own (no sun, no clouds, no trees), so that captions stay complete.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

PAINTED = 256
"""Side in pixels in which scenes are painted before they are averaged down."""
VARIANTS = 40
"""Palettes and shapes of each background: 400 pictures in all, 80 MB when every one was used."""

RGB = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where things may be in a background, in 0..1 of the side from the top."""

    horizon: float
    """Lower end of the sky."""
    near: float
    """Where the nearest thing stands."""
    far: float
    """Where the farthest thing stands."""


PLACES = {
    "meadow": Place(horizon=0.50, far=0.55, near=0.96),
    "beach": Place(horizon=0.42, far=0.62, near=0.96),
    "desert": Place(horizon=0.50, far=0.56, near=0.96),
    "snow": Place(horizon=0.50, far=0.55, near=0.96),
    "night": Place(horizon=0.54, far=0.59, near=0.96),
    "street": Place(horizon=0.50, far=0.60, near=0.95),
    "sea": Place(horizon=0.44, far=0.54, near=0.93),
    "underwater": Place(horizon=0.82, far=0.86, near=0.97),
    "space": Place(horizon=1.0, far=1.0, near=1.0),
    "table": Place(horizon=0.46, far=0.58, near=0.93),
}


@lru_cache(maxsize=10 * VARIANTS)
def background(name: str, variant: int) -> Image.Image:
    """One of the `VARIANTS` pictures of a background, (256, 256) RGB. Callers must not change it."""
    rng = random.Random(f"{name}/{variant}")  # a string's seed does not depend on the process
    picture = _PAINTERS[name](rng, round(PLACES[name].horizon * PAINTED))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if variant % 2 else picture


def _jitter(rng: random.Random, colour: RGB, amount: int = 14) -> RGB:
    shade = rng.randint(-amount, amount)
    red, green, blue = (max(0, min(255, part + shade + rng.randint(-amount // 2, amount // 2))) for part in colour)
    return red, green, blue


def _gradient(top: RGB, bottom: RGB, height: int) -> Image.Image:
    """(height, 256) from `top` to `bottom`."""
    mix = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    column = np.array(top, np.float32) * (1 - mix) + np.array(bottom, np.float32) * mix
    pixels: NDArray[np.uint8] = np.broadcast_to(column[:, None].round().astype(np.uint8), (height, PAINTED, 3)).copy()
    return Image.fromarray(pixels)


def _sky_and_ground(
    rng: random.Random, horizon: int, sky: tuple[RGB, RGB], ground: tuple[RGB, RGB]
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (PAINTED, PAINTED))
    picture.paste(_gradient(_jitter(rng, sky[0]), _jitter(rng, sky[1]), horizon), (0, 0))
    picture.paste(_gradient(_jitter(rng, ground[0]), _jitter(rng, ground[1]), PAINTED - horizon), (0, horizon))
    return picture, ImageDraw.Draw(picture)


def _hills(draw: ImageDraw.ImageDraw, rng: random.Random, foot: int, height: float, colour: RGB) -> None:
    """A wavy ridge that ends at `foot`."""
    phase, waves, bend = rng.uniform(0, 6.3), rng.uniform(1.0, 2.2), rng.uniform(0, 6.3)
    x = np.arange(0, PAINTED + 8, 8)
    wave = np.sin(phase + waves * x / PAINTED * 6.283) + 0.5 * np.sin(bend + 2.3 * waves * x / PAINTED * 6.283)
    ridge = foot - height * (1.1 + 0.6 * wave)
    points = [(float(a), float(min(b, foot))) for a, b in zip(x, ridge, strict=True)]
    draw.polygon([(0.0, float(foot)), *points, (float(PAINTED), float(foot))], fill=colour)


def _tufts(draw: ImageDraw.ImageDraw, rng: random.Random, top: int, colour: RGB, count: int) -> None:
    for _ in range(count):
        x, y = rng.uniform(0, PAINTED), rng.uniform(top + 12, PAINTED)
        size = 3 + 5 * (y - top) / (PAINTED - top)
        draw.line([(x - size / 2, y - size), (x, y), (x + size / 2, y - size)], fill=colour, width=2)


def _meadow(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((110, 186, 245), (214, 240, 255)), ((140, 206, 250), (250, 244, 220)), ((90, 170, 235), (190, 230, 250)))
    )
    green = rng.choice(
        (((134, 205, 96), (88, 170, 66)), ((160, 214, 90), (110, 182, 60)), ((112, 190, 104), (70, 152, 74)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, green)
    _hills(draw, rng, horizon + 1, rng.uniform(8, 20), _jitter(rng, (120, 190, 120)))
    _hills(draw, rng, horizon + 1, rng.uniform(4, 9), _jitter(rng, green[0], 6))
    _tufts(draw, rng, horizon, _jitter(rng, (74, 150, 58)), 14)
    return picture


def _beach(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((96, 190, 245), (220, 244, 255)), ((255, 178, 128), (255, 226, 190)), ((130, 205, 250), (240, 248, 255)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, ((60, 160, 214), (92, 200, 220)))
    shore = horizon + round(0.13 * PAINTED)
    x = np.arange(0, PAINTED + 8, 8)
    edge = shore + 4 * np.sin(rng.uniform(0, 6.3) + x / PAINTED * rng.uniform(6, 14))
    points = [(float(a), float(b)) for a, b in zip(x, edge, strict=True)]
    corners = [(float(PAINTED), float(PAINTED)), (0.0, float(PAINTED))]
    draw.polygon([(a, b - 5) for a, b in points] + corners, fill=(236, 248, 250))
    sand = Image.new("L", picture.size)
    ImageDraw.Draw(sand).polygon(points + corners, fill=255)
    top, bottom = _jitter(rng, (244, 222, 168), 8), _jitter(rng, (230, 198, 132), 8)
    ground = Image.new("RGB", picture.size)
    ground.paste(_gradient(top, bottom, PAINTED - shore + 8), (0, shore - 8))
    picture.paste(ground, mask=sand)
    return picture


def _desert(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((255, 196, 120), (255, 236, 196)), ((120, 190, 235), (250, 236, 206)), ((246, 160, 120), (255, 220, 170)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, ((232, 176, 98), (206, 138, 66)))
    _hills(draw, rng, horizon + 1, rng.uniform(10, 24), _jitter(rng, (214, 150, 84)))
    _hills(draw, rng, horizon + 1, rng.uniform(5, 10), _jitter(rng, (226, 166, 92), 6))
    for _ in range(4):
        x, y = rng.uniform(-40, PAINTED), rng.uniform(horizon + 20, PAINTED)
        draw.arc([x, y - 8, x + rng.uniform(60, 120), y + 8], 180, 350, fill=_jitter(rng, (196, 132, 64), 6), width=2)
    return picture


def _snow(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((150, 190, 226), (226, 238, 250)), ((176, 196, 220), (236, 236, 246)), ((120, 176, 232), (220, 236, 252)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, ((240, 246, 252), (214, 226, 242)))
    _hills(draw, rng, horizon + 1, rng.uniform(12, 28), _jitter(rng, (204, 220, 240), 8))
    _hills(draw, rng, horizon + 1, rng.uniform(5, 12), _jitter(rng, (228, 238, 250), 4))
    for _ in range(rng.randint(20, 45)):
        x, y, size = rng.uniform(0, PAINTED), rng.uniform(0, PAINTED), rng.uniform(1, 2.4)
        draw.ellipse([x - size, y - size, x + size, y + size], fill=(255, 255, 255))
    return picture


def _night(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice((((12, 18, 58), (52, 62, 124)), ((20, 14, 60), (74, 52, 120)), ((8, 24, 52), (36, 76, 118))))
    picture, draw = _sky_and_ground(rng, horizon, sky, ((44, 84, 70), (28, 58, 54)))
    for _ in range(40):
        x, y, size = rng.uniform(0, PAINTED), rng.uniform(0, horizon), rng.choice((0, 0, 1))
        draw.ellipse([x, y, x + size, y + size], fill=_jitter(rng, (222, 226, 246)))
    _hills(draw, rng, horizon + 1, rng.uniform(10, 22), _jitter(rng, (30, 54, 72), 6))
    _hills(draw, rng, horizon + 1, rng.uniform(4, 9), _jitter(rng, (40, 78, 68), 4))
    return picture


def _street(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((130, 196, 240), (222, 240, 250)), ((250, 206, 160), (252, 236, 216)), ((170, 200, 226), (226, 234, 242)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, ((196, 192, 188), (180, 176, 174)))
    x = -rng.uniform(0, 20)
    while x < PAINTED:  # a pale skyline of plain blocks, far behind the houses that are objects
        width, height = rng.uniform(16, 36), rng.uniform(18, 62)
        draw.rectangle([x, horizon - height, x + width, horizon], fill=_jitter(rng, (188, 202, 218), 10))
        x += width + rng.uniform(-2, 6)
    kerb = round(0.63 * PAINTED)
    picture.paste(_gradient(_jitter(rng, (104, 106, 114), 8), _jitter(rng, (78, 80, 90), 8), PAINTED - kerb), (0, kerb))
    draw.rectangle([0, kerb - 4, PAINTED, kerb], fill=(222, 220, 214))
    offset, lane = rng.uniform(-50, 0), round(0.81 * PAINTED)
    for step in range(6):
        left = offset + step * 56
        draw.polygon(
            [(left + 4, lane - 3), (left + 34, lane - 3), (left + 30, lane + 3), (left, lane + 3)], fill=(236, 230, 206)
        )
    return picture


def _sea(rng: random.Random, horizon: int) -> Image.Image:
    sky = rng.choice(
        (((110, 190, 245), (222, 242, 255)), ((252, 180, 130), (255, 230, 196)), ((150, 200, 236), (232, 242, 250)))
    )
    water = rng.choice(
        (((70, 164, 214), (28, 96, 168)), ((64, 178, 200), (24, 116, 150)), ((92, 160, 220), (40, 84, 160)))
    )
    picture, draw = _sky_and_ground(rng, horizon, sky, water)
    for _ in range(26):
        y = rng.uniform(horizon + 6, PAINTED)
        near = (y - horizon) / (PAINTED - horizon)
        x, width = rng.uniform(-10, PAINTED), 8 + 24 * near
        draw.arc([x, y, x + width, y + 3 + 5 * near], 190, 350, fill=_jitter(rng, (160, 214, 238), 10), width=2)
    return picture


def _underwater(rng: random.Random, horizon: int) -> Image.Image:
    water = rng.choice(
        (((84, 200, 226), (16, 92, 150)), ((96, 190, 236), (24, 70, 150)), ((90, 214, 206), (14, 104, 128)))
    )
    picture = _gradient(_jitter(rng, water[0]), _jitter(rng, water[1]), PAINTED)
    rays = Image.new("L", picture.size)
    shine = ImageDraw.Draw(rays)
    for _ in range(4):
        x, width, lean = rng.uniform(-20, PAINTED), rng.uniform(10, 34), rng.uniform(-70, 20)
        shine.polygon([(x, 0), (x + width, 0), (x + 2 * width + lean, 200), (x + lean, 200)], fill=26)
    picture.paste((255, 255, 255), mask=rays.filter(ImageFilter.GaussianBlur(5)))
    draw = ImageDraw.Draw(picture)
    _hills(draw, rng, PAINTED, (PAINTED - horizon) * 0.75, _jitter(rng, (206, 186, 136), 10))
    draw.rectangle([0, horizon + 16, PAINTED, PAINTED], fill=_jitter(rng, (216, 194, 142), 8))
    for _ in range(rng.randint(8, 16)):
        x, y, size = rng.uniform(0, PAINTED), rng.uniform(0, horizon), rng.uniform(2, 5)
        draw.ellipse([x - size, y - size, x + size, y + size], outline=(200, 236, 246), width=1)
    return picture


def _space(rng: random.Random, horizon: int) -> Image.Image:
    deep = rng.choice((((8, 8, 30), (30, 16, 62)), ((6, 10, 26), (16, 34, 66)), ((20, 8, 36), (8, 8, 26))))
    picture = _gradient(_jitter(rng, deep[0], 4), _jitter(rng, deep[1], 6), PAINTED)
    cloud = Image.new("L", (64, 64))
    shape = ImageDraw.Draw(cloud)
    for _ in range(5):
        x, y, size = rng.uniform(0, 64), rng.uniform(0, 64), rng.uniform(8, 18)
        shape.ellipse([x - size, y - size * 0.6, x + size, y + size * 0.6], fill=60)
    mask = cloud.filter(ImageFilter.GaussianBlur(7)).resize(picture.size, Image.Resampling.BILINEAR)
    picture.paste(rng.choice(((120, 70, 170), (60, 100, 180), (150, 70, 120))), mask=mask)
    draw = ImageDraw.Draw(picture)
    for _ in range(90):
        x, y, size = rng.uniform(0, PAINTED), rng.uniform(0, PAINTED), rng.choice((0, 0, 0, 1, 1.6))
        draw.ellipse([x, y, x + size, y + size], fill=_jitter(rng, (230, 232, 246)))
    return picture


def _table(rng: random.Random, horizon: int) -> Image.Image:
    wall = rng.choice(((250, 236, 210), (206, 226, 236), (226, 214, 238), (214, 232, 206), (246, 216, 206)))
    wood = rng.choice(
        (((214, 160, 104), (184, 124, 72)), ((190, 130, 84), (150, 94, 56)), ((228, 186, 130), (200, 150, 94)))
    )
    paler: RGB = (min(255, wall[0] + 12), min(255, wall[1] + 12), min(255, wall[2] + 12))
    picture, draw = _sky_and_ground(rng, horizon, (paler, wall), wood)
    if rng.random() < 0.5:
        for x in range(rng.randint(0, 20), PAINTED, 28):
            draw.rectangle([x, 0, x + 10, horizon - 1], fill=_jitter(rng, wall, 3))
    grain = _jitter(rng, wood[1], 6)
    for step in range(1, 5):
        y = horizon + (PAINTED - horizon) * (step / 5) ** 1.4
        draw.line([(0, y), (PAINTED, y)], fill=grain, width=2)
    draw.rectangle([0, horizon, PAINTED, horizon + 3], fill=_jitter(rng, wood[1], 6))
    return picture


_PAINTERS = {
    "meadow": _meadow,
    "beach": _beach,
    "desert": _desert,
    "snow": _snow,
    "night": _night,
    "street": _street,
    "sea": _sea,
    "underwater": _underwater,
    "space": _space,
    "table": _table,
}
