"""Many small pictures on one, without Pillow."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.png import Picture

WHITE = b"\xff\xff\xff"


def contact_sheet(rows: Sequence[Sequence[Picture]], *, cell: int = 128, gap: int = 8) -> Picture:
    """Tiles pictures on white, row by row from the left; small ones grow by whole numbers up to `cell` pixels."""
    scaled = [
        [_enlarge(picture, max(1, cell // max(picture.width, picture.height))) for picture in row] for row in rows
    ]
    side = max((max(p.width, p.height) for row in scaled for p in row), default=cell)
    columns = max((len(row) for row in scaled), default=0)
    width = gap + columns * (side + gap)
    blank = WHITE * width
    lines = [blank] * gap
    for row in scaled:
        for y in range(side):
            cells = [(p.rows[y] if y < p.height else b"").ljust(3 * (side + gap), b"\xff") for p in row]
            lines.append((WHITE * gap + b"".join(cells)).ljust(3 * width, b"\xff"))
        lines += [blank] * gap
    return Picture(width=width, height=len(lines), rows=lines)


def _enlarge(picture: Picture, factor: int) -> Picture:
    """Repeats each pixel `factor` times in both directions."""
    rows: list[bytes] = []
    for row in picture.rows:
        wide = b"".join(row[i : i + 3] * factor for i in range(0, len(row), 3))
        rows += [wide] * factor
    return Picture(width=picture.width * factor, height=picture.height * factor, rows=rows)
