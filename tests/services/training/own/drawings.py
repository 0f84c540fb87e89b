"""Fifty small drawings as a user's own pictures: five shapes in ten colours, with captions and labels."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "teal", "gold", "pink")
SHAPES = {"circle": 0, "triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6}


def draw(shape: str, colour: str, side: int = 48) -> Image.Image:
    """A filled shape on white."""
    picture = Image.new("RGB", (side, side), "white")
    canvas, middle, radius = ImageDraw.Draw(picture), side / 2, side * 0.4
    if corners := SHAPES[shape]:
        canvas.regular_polygon((middle, middle, radius), corners, fill=colour)
    else:
        canvas.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=colour)
    return picture


def write_drawings(folder: Path, *, colours: tuple[str, ...] = COLOURS, language: str = "en") -> Path:
    """Writes the pictures and `my.jsonl` into `folder`; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for shape in SHAPES:
        for colour in colours:
            file = f"{colour}-{shape}.png"
            draw(shape, colour).save(folder / file)
            entry = {"image": file, "caption": f"a {colour} {shape}", "label": shape, "language": language}
            lines.append(json.dumps(entry))
    (folder / "my.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "my.jsonl"
