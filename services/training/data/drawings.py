"""Reads the drawings of one source as RGBA pictures; knows nothing of concepts beyond their hexcodes and labels."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from services.training.data.sources import Source

RASTER_PIXELS = 256


def normalise_hexcode(hexcode: str) -> str:
    """Upper case, without variation selectors and leading zeros: sets disagree on all three."""
    parts = (part.lstrip("0") for part in hexcode.upper().split("-"))
    return "-".join(part for part in parts if part != "FE0F")


def icon_slug(label: str) -> str:
    """What Iconify calls the icon of a Unicode name: `man’s shoe` is `mans-shoe`."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower().replace("’", "").replace("ñ", "n")).strip("-")


def read_drawings(node_modules: Path, source: Source, labels: Mapping[str, str]) -> Iterator[tuple[str, Image.Image]]:
    """Yields (hexcode, RGBA picture) for those of `labels`, by hexcode, that the source draws."""
    folder = node_modules / source.package
    if source.style == "fluent-3d":
        yield from _read_bitmaps(folder / "assets", labels)
        return
    icon_set = json.loads((folder / "icons.json").read_text("utf-8"))
    names = {hexcode: icon_slug(label) for hexcode, label in labels.items()}
    if source.names:
        table = json.loads((node_modules / source.names / "chars.json").read_text("utf-8"))
        names |= {normalise_hexcode(hexcode): name for hexcode, name in table.items()}
    for hexcode in labels:
        if (icon := _resolve_icon(icon_set, names[hexcode])) is not None:
            yield hexcode, _rasterise(icon, icon_set)


def _read_bitmaps(assets: Path, labels: Mapping[str, str]) -> Iterator[tuple[str, Image.Image]]:
    files = {normalise_hexcode(path.stem): path for path in sorted(assets.glob("*.webp"))}
    for hexcode in labels:
        if hexcode in files:
            yield hexcode, Image.open(files[hexcode]).convert("RGBA")


def _resolve_icon(icon_set: dict[str, Any], name: str) -> dict[str, Any] | None:
    icon = icon_set["icons"].get(name)
    alias = icon_set.get("aliases", {}).get(name)
    if icon is None and alias is not None and set(alias) == {"parent"}:
        icon = icon_set["icons"].get(alias["parent"])
    return icon  # type: ignore[no-any-return]  # json


def _rasterise(icon: dict[str, Any], icon_set: dict[str, Any]) -> Image.Image:
    import resvg_py  # here, because only building data needs it

    width = icon.get("width", icon_set.get("width", 16))
    height = icon.get("height", icon_set.get("height", 16))
    side = max(width, height)
    box = f"{icon.get('left', 0) - (side - width) / 2} {icon.get('top', 0) - (side - height) / 2} {side} {side}"
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{RASTER_PIXELS}" height="{RASTER_PIXELS}" viewBox="{box}">{icon["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=RASTER_PIXELS, height=RASTER_PIXELS, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")
