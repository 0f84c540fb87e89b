"""Paints one object onto a scene: sprites repainted once and kept, shadows, waterlines."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFilter

from services.training.data.scenes.backgrounds import PAINTED
from services.training.data.scenes.paint import repaint
from services.training.data.scenes.sprites import PLANTS, Sprite

CACHE_BYTES = 128 * 2**20
"""Enough for every sprite in every colour."""
WATERLINE = 0.9
"""Of a boat's height: the part above the water."""

_HALF = [0] * 128 + [255] * 128
_FADED = [round(value * 0.8) for value in range(256)]

Fitted = tuple[Image.Image, Image.Image, Image.Image]
"""RGB, alpha, and where alpha is over one half."""


class PaintedSprites:
    """Sprites in the colours that scenes asked for, the least recently used first to go; bounded by bytes.

    Sizes are not kept: there are so many that hardly one is asked for twice, and resizing is cheap.
    """

    def __init__(self, sprites: tuple[Sprite, ...], limit: int = CACHE_BYTES) -> None:
        self._sprites, self._limit = sprites, limit
        self._kept: OrderedDict[tuple[int, str | None], Image.Image] = OrderedDict()
        self.held = 0
        """Bytes of the pictures that are kept."""

    def get(self, sprite: int, paint: str | None) -> Image.Image:
        """A sprite as it is drawn or with its body in a colour, RGBA. Callers must not change it."""
        image = self._kept.get((sprite, paint))
        if image is not None:
            self._kept.move_to_end((sprite, paint))
            return image
        each = self._sprites[sprite]
        picture = each.picture if paint is None else repaint(each.picture, paint, leaves=each.kind in PLANTS)
        image = self._kept[sprite, paint] = Image.fromarray(picture)
        self.held += 4 * image.width * image.height
        while self.held > self._limit:
            _, oldest = self._kept.popitem(last=False)
            self.held -= 4 * oldest.width * oldest.height
        return image

    def fitted(self, sprite: int, paint: str | None, *, mirrored: bool, height: int) -> Fitted:
        """A sprite at a height in pixels, its width by its shape."""
        image = self.get(sprite, paint)
        height = max(4, height)
        image = image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BILINEAR)
        if mirrored:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        alpha = image.getchannel("A")
        solid = alpha.point(_HALF)
        if self._sprites[sprite].kind == "rainbow":
            alpha = alpha.point(_FADED)
        return image.convert("RGB"), alpha, solid


def paint_object(
    canvas: Image.Image,
    instances: Image.Image,
    label: int,
    painted: PaintedSprites,
    sprite: int,
    *,
    box: tuple[float, float, float, float],
    paint: str | None,
    mirrored: bool,
    stance: str,
    dark: bool,
) -> int:
    """Paints a sprite so that its foot and middle are the box's, and writes `label` where it is now seen.

    Returns the pixels that it covers, of 256 x 256.

    `canvas` (256, 256) RGB and `instances` (256, 256) L are changed; `box` is in 0..1 of the side.
    """
    x0, y0, x1, y1 = (round(part * PAINTED) for part in box)
    rgb, mask, solid = painted.fitted(sprite, paint, mirrored=mirrored, height=y1 - y0)
    left, top = (x0 + x1 - mask.width) // 2, y1 - mask.height
    if stance in ("ground", "far"):
        _shadow(canvas, left, left + mask.width, y1, dark=dark)
    if stance == "float":  # the part below the waterline is not seen
        seen = (0, 0, mask.width, round(WATERLINE * mask.height))
        rgb, mask, solid = rgb.crop(seen), mask.crop(seen), solid.crop(seen)
    canvas.paste(rgb, (left, top), mask)
    instances.paste(label, (left, top, left + mask.width, top + mask.height), solid)
    if stance == "float":
        foam = _ellipse(mask.width + 12, 10, 150)
        canvas.paste((226, 244, 252), (left - 6, top + mask.height - 4), foam)
    return solid.histogram()[255]


def _shadow(canvas: Image.Image, left: int, right: int, foot: int, *, dark: bool) -> None:
    width = (right - left) // 4 * 4 + 4  # few widths, so that masks are found again
    height = max(8, width // 6 // 2 * 2)
    mask = _ellipse(width, height, 130 if dark else 90)
    canvas.paste((16, 20, 28), ((left + right - width) // 2, foot - height * 6 // 10), mask)


@lru_cache(maxsize=512)
def _ellipse(width: int, height: int, strength: int) -> Image.Image:
    """A soft ellipse as a mask."""
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse((width * 0.06, height * 0.15, width * 0.94, height * 0.85), fill=strength)
    return mask.filter(ImageFilter.GaussianBlur(height / 8))
