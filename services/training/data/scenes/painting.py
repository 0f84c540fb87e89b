"""Paints one object onto a scene: sprites repainted, resized and mirrored once and kept, shadows, waterlines."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter

from services.training.data.scenes.backgrounds import PAINTED
from services.training.data.scenes.paint import repaint
from services.training.data.scenes.sprites import PLANTS, Sprite

CACHE_BYTES = 160 * 2**20
STEP = 4
"""Pixels of a 256 px scene to which sizes are rounded, so that few sizes serve all scenes."""

Fitted = tuple[Image.Image, Image.Image, Image.Image]
"""RGB, alpha, and alpha over one half."""


class FittedSprites:
    """Sprites in the sizes and colours that scenes asked for, least recently used first to go; bounded by bytes."""

    def __init__(self, sprites: tuple[Sprite, ...], limit: int = CACHE_BYTES) -> None:
        self._sprites, self._limit = sprites, limit
        self._kept: OrderedDict[tuple[object, ...], Fitted] = OrderedDict()
        self._bytes = 0

    def get(self, sprite: int, paint: str | None, mirrored: bool, height: int) -> Fitted:
        """A sprite at a height in pixels of a 256 px scene, its width by its shape."""
        height = max(STEP, round(height / STEP) * STEP)
        key = (sprite, paint, mirrored, height)
        fitted = self._kept.get(key)
        if fitted is None:
            fitted = self._kept[key] = self._fit(sprite, paint, mirrored, height)
            self._bytes += 5 * fitted[1].width * height
            while self._bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= 5 * oldest[1].width * oldest[1].height
        else:
            self._kept.move_to_end(key)
        return fitted

    def _fit(self, sprite: int, paint: str | None, mirrored: bool, height: int) -> Fitted:
        each = self._sprites[sprite]
        picture = each.picture if paint is None else repaint(each.picture, paint, leaves=each.kind in PLANTS)
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        image = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        if mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        alpha = image.getchannel("A")
        if each.kind == "rainbow":
            solid, alpha = alpha.point(_half), alpha.point(_faded)
        else:
            solid = alpha.point(_half)
        return image.convert("RGB"), alpha, solid


def _half(value: int) -> int:
    return 255 if value > 127 else 0


def _faded(value: int) -> float:
    return value * 0.8


def paint_object(
    canvas: Image.Image,
    instances: Image.Image,
    label: int,
    fitted: FittedSprites,
    sprite: int,
    *,
    box: tuple[float, float, float, float],
    paint: str | None,
    mirrored: bool,
    stance: str,
    dark: bool,
) -> None:
    """Paints a sprite so that its foot and middle are the box's, and writes `label` where it is now seen.

    `canvas` (256, 256) RGB and `instances` (256, 256) L are changed; `box` is in 0..1 of the side.
    """
    x0, y0, x1, y1 = (round(part * PAINTED) for part in box)
    rgb, mask, solid = fitted.get(sprite, paint, mirrored, y1 - y0)
    left, top = (x0 + x1 - mask.width) // 2, y1 - mask.height
    if stance in ("ground", "far"):
        _shadow(canvas, left, left + mask.width, y1, dark=dark)
    if stance == "float":  # the part below the waterline is not seen
        seen = (0, 0, mask.width, round(0.9 * mask.height))
        rgb, mask, solid = rgb.crop(seen), mask.crop(seen), solid.crop(seen)
    canvas.paste(rgb, (left, top), mask)
    instances.paste(label, (left, top, left + mask.width, top + mask.height), solid)
    if stance == "float":
        foam = _ellipse(mask.width + 12, 10, 150)
        canvas.paste((226, 244, 252), (left - 6, top + mask.height - 4), foam)


def _shadow(canvas: Image.Image, left: int, right: int, foot: int, *, dark: bool) -> None:
    width = (right - left) // STEP * STEP + STEP
    height = max(8, width // 6 // 2 * 2)
    mask = _ellipse(width, height, 130 if dark else 90)
    canvas.paste((16, 20, 28), ((left + right - width) // 2, foot - height * 6 // 10), mask)


@lru_cache(maxsize=512)
def _ellipse(width: int, height: int, strength: int) -> Image.Image:
    """A soft ellipse as a mask."""
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse((width * 0.06, height * 0.15, width * 0.94, height * 0.85), fill=strength)
    return mask.filter(ImageFilter.GaussianBlur(height / 8))
