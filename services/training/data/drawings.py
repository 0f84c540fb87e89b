"""Reads the drawings of one source as RGBA pictures; knows nothing of concepts beyond their hexcodes and labels."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from services.training.data.sources import OLDER_NAMES, Source

RASTER_PIXELS = 256

_OTHER_THINGS = frozenset({"pistol"})
"""Older names under which older sets drew something else: a gun, where today's is a toy."""


def normalise_hexcode(hexcode: str) -> str:
    """Upper case, without variation selectors and leading zeros: sets disagree on all three."""
    parts = (part.lstrip("0") for part in hexcode.upper().split("-"))
    return "-".join(part for part in parts if part != "FE0F")


def icon_slug(label: str) -> str:
    """What Iconify calls the icon of a Unicode name: `man’s shoe` is `mans-shoe`."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower().replace("’", "").replace("ñ", "n")).strip("-")


def find_drawings(node_modules: Path, source: Source, labels: Mapping[str, str]) -> dict[str, str]:
    """The file or the icon of each hexcode of `labels` that the source draws.

    Where the source has no table, an icon is found by the slug of its Unicode name, today's or an older one, as it is,
    with the number 1 of several, or without hyphens. Looser likeness is none: it is as often another thing.
    """
    if not source.icons:
        files = {normalise_hexcode(path.stem): path.name for path in _bitmaps(node_modules / source.package)}
        return {hexcode: files[hexcode] for hexcode in labels if hexcode in files}
    icon_set = _read_json(node_modules / source.package / "icons.json")
    table = _names_by_hexcode(node_modules, source.names) if source.names else {}
    older = _older_names(node_modules, labels)
    found = {}
    for hexcode, label in labels.items():
        names = [table.get(hexcode, icon_slug(label)), *older.get(hexcode, ())]
        tries = (*names, *(f"{name}-1" for name in names), *(name.replace("-", "") for name in names))
        name = next((one for one in tries if _resolve_icon(icon_set, one)), None)
        if name is not None and name not in source.other_things:
            found[hexcode] = name
    return found


def read_drawings(node_modules: Path, source: Source, drawings: Mapping[str, str]) -> Iterator[tuple[str, Image.Image]]:
    """Yields (hexcode, RGBA picture) for what `find_drawings` found."""
    folder = node_modules / source.package
    if not source.icons:
        for path in _bitmaps(folder):
            if (hexcode := normalise_hexcode(path.stem)) in drawings:
                yield hexcode, Image.open(path).convert("RGBA")
        return
    icon_set = _read_json(folder / "icons.json")
    for hexcode, name in drawings.items():
        icon = _resolve_icon(icon_set, name)
        assert icon is not None  # it was found
        yield hexcode, _rasterise(icon, icon_set)


def _bitmaps(folder: Path) -> Iterable[Path]:
    return sorted((folder / "assets").glob("*.webp"))


def _names_by_hexcode(node_modules: Path, package: str) -> dict[str, str]:
    table = _read_json(node_modules / package / "chars.json")
    return {normalise_hexcode(hexcode): name for hexcode, name in table.items()}


def _older_names(node_modules: Path, labels: Mapping[str, str]) -> dict[str, list[str]]:
    """What Unicode called things before, by hexcode: full sets keep those names as aliases of today's."""
    today = {icon_slug(label) for label in labels.values()}
    older: dict[str, list[str]] = {}
    for package in OLDER_NAMES:
        hexcodes: dict[str, str] = {}
        for hexcode, name in _names_by_hexcode(node_modules, package).items():
            if hexcode in labels:
                hexcodes.setdefault(name, hexcode)
        for alias, icon in _read_json(node_modules / package / "icons.json")["aliases"].items():
            known = hexcodes.get(icon["parent"])
            if known is not None and alias not in today | _OTHER_THINGS:
                older.setdefault(known, []).append(alias)
    return older


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


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text("utf-8"))  # type: ignore[no-any-return]  # json
