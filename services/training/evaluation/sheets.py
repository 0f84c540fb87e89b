"""Picture sheets: the first pictures of a measurement as they came, each with a line of text; failures too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

COLUMNS = 8
TILE = 128
TEXT_LINES = 3
LINE = 12
MARGIN = 6
SHOWN = 64
"""Pictures a sheet."""
_CHARACTERS = 21
"""Of a line under a tile."""


def write_sheet(file: Path, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> None:
    """The first SHOWN pictures, (H, W, 3) each, in rows, and under each its text, cut to three short lines.

    What the built-in font cannot write, Chinese above all, stands as its number; all texts in full are in the text
    file beside the sheet, by number.
    """
    shown = list(zip(pictures, texts, strict=True))[:SHOWN]
    rows = -(-len(shown) // COLUMNS)
    width, height = TILE + 2 * MARGIN, TILE + TEXT_LINES * LINE + 2 * MARGIN
    sheet = Image.new("RGB", (COLUMNS * width, max(1, rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (pixels, text) in enumerate(shown):
        left, top = index % COLUMNS * width + MARGIN, index // COLUMNS * height + MARGIN
        sheet.paste(Image.fromarray(pixels).resize((TILE, TILE), Image.Resampling.NEAREST), (left, top))
        label = text if text.isascii() else f"{index + 1}"
        for number, line in enumerate(_lines(label)):
            draw.text((left, top + TILE + number * LINE), line, fill="black", font_size=10)
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)
    listed = "".join(f"{index + 1}\t{text}\n" for index, (_, text) in enumerate(shown))
    file.with_suffix(".txt").write_text(listed, "utf-8")


def _lines(text: str) -> list[str]:
    """Words in at most TEXT_LINES lines; what is left out ends in an ellipsis."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _CHARACTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) <= TEXT_LINES else [*lines[: TEXT_LINES - 1], f"{lines[TEXT_LINES - 1]}..."]
