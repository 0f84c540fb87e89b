"""Repaints a drawing's body in one of the seven colours, and names the colour that a drawing has already.

The body is what has the drawing's dominant hue, or for grey animals what is grey; eyes, windows and leaves keep theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.training.data.scenes.classes import COLOURS

_HUES = {"red": (-14, 11), "yellow": (44, 60), "green": (72, 172), "blue": (190, 240), "purple": (252, 292)}
"""Degrees in which a vivid body needs no second look."""
_NAMELESS = (16, 40)
"""Orange and brown, which are none of the seven; what lies between is a matter of opinion."""
_GREENS = (65, 170)


def repaint(picture: NDArray[np.uint8], colour: str, *, leaves: bool = False) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA -> the same with its body in `colour`, shading kept. `leaves`: green parts are not the body."""
    rgb = picture[..., :3].astype(np.float32) / 255
    weight = _body(picture, leaves=leaves)[..., None]
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    solid = weight[..., 0] > 0.5
    middle = float(np.median(luma[solid])) if solid.any() else 0.5
    ratio = (luma / max(middle, 0.05))[..., None]
    target = np.array(COLOURS[colour].rgb, np.float32) / 255
    lighter = np.clip((ratio - 1) * 0.9, 0, 0.25 if colour == "black" else 0.7)
    toned = np.where(ratio <= 1, target * np.clip(ratio, 0.35, 1), target + (1 - target) * lighter)
    mixed = rgb * (1 - weight) + toned * weight
    painted = picture.copy()
    painted[..., :3] = np.clip(mixed * 255 + 0.5, 0, 255).astype(np.uint8)
    return painted


def body_share(picture: NDArray[np.uint8], *, leaves: bool = False) -> float:
    """The part of a drawing's area that `repaint` changes, in 0..1."""
    alpha = picture[..., 3] > 128
    return float((_body(picture, leaves=leaves) * alpha).sum() / max(alpha.sum(), 1))


def natural_colour(picture: NDArray[np.uint8], *, leaves: bool = False) -> tuple[str | None, bool]:
    """The colour word that fits an unpainted drawing, and whether that is beyond doubt.

    (None, True) is a drawing that nobody would call by one of the seven, (None, False) one that some would.
    """
    hue, saturation, value = _hsv(picture)
    body = (_body(picture, leaves=leaves) > 0.5) & (picture[..., 3] > 128)
    vivid = body & (saturation > 0.4) & (value > 0.35)
    if vivid.sum() < 0.4 * body.sum() or body.sum() == 0:
        return None, True
    centre = _mean_hue(hue[vivid], saturation[vivid])
    signed = centre - 360 if centre > 300 else centre
    for name, (low, high) in _HUES.items():
        if low <= signed <= high and not (name == "yellow" and float(np.median(value[vivid])) < 0.75):
            return name, True
    return None, _NAMELESS[0] <= signed <= _NAMELESS[1]


def _hsv(picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Hue in degrees, saturation and value in 0..1, each (H, W)."""
    rgb = picture[..., :3].astype(np.float32) / 255
    value, low = rgb.max(axis=-1), rgb.min(axis=-1)
    span = value - low
    safe = np.where(span == 0, 1, span)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(value == r, (g - b) / safe % 6, np.where(value == g, (b - r) / safe + 2, (r - g) / safe + 4)) * 60
    saturation = span / np.where(value == 0, 1, value)
    return hue.astype(np.float32), saturation.astype(np.float32), value


def _mean_hue(hue: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    turned = (weight * np.exp(1j * np.radians(hue))).sum()
    return float(np.degrees(np.angle(turned)) % 360)


def _body(picture: NDArray[np.uint8], *, leaves: bool) -> NDArray[np.float32]:
    """(H, W) in 0..1: how much each pixel belongs to the body."""
    hue, saturation, value = _hsv(picture)
    alpha = picture[..., 3].astype(np.float32) / 255
    chroma = saturation * value
    usable = alpha * (chroma > 0.12)
    if leaves:
        usable = usable * ((hue < _GREENS[0]) | (hue > _GREENS[1]))
    if usable.sum() < 0.3 * alpha.sum() and not leaves:  # grey, white and black animals
        grey = np.clip((0.35 - chroma) / 0.1, 0, 1) * np.clip((value - 0.28) / 0.15, 0, 1)
        return np.asarray(grey, np.float32)
    votes, _ = np.histogram(hue, bins=72, range=(0, 360), weights=usable * chroma)
    smooth = sum(np.roll(votes, shift) for shift in range(-3, 4))
    peak = float(np.argmax(smooth)) * 5 + 2.5
    distance = np.abs((hue - peak + 180) % 360 - 180)
    near = np.clip((50 - distance) / 15, 0, 1) * np.clip((chroma - 0.05) / 0.1, 0, 1)
    if leaves:
        near = near * ((hue < _GREENS[0]) | (hue > _GREENS[1]))
    return np.asarray(near, np.float32)
