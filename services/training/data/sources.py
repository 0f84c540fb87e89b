"""Where the drawings come from: seven pinned npm packages read as one RGBA picture a (hexcode, style)."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

PACKAGES = (
    "emojibase-data@17.0.0",
    "@lobehub/fluent-emoji-3d@1.1.0",
    "@iconify-json/fluent-emoji@1.2.7",
    "@iconify-json/fluent-emoji-flat@1.2.6",
    "@iconify-json/noto@1.2.9",
    "@iconify-json/noto-v1@1.2.5",
    "@iconify-json/twemoji@1.2.5",
    "@iconify-json/emojione@1.2.3",
)

RASTER_PIXELS = 256


@dataclass(frozen=True, kw_only=True)
class Source:
    """One style of drawings; drawings of one `family` are near copies, so a split must not part them."""

    style: str
    family: str
    package: str
    author: str
    licence: str


SOURCES = (
    Source(style="fluent-3d", family="fluent", package="@lobehub/fluent-emoji-3d", author="Microsoft", licence="MIT"),
    Source(
        style="fluent-color", family="fluent", package="@iconify-json/fluent-emoji", author="Microsoft", licence="MIT"
    ),
    Source(
        style="fluent-flat",
        family="fluent",
        package="@iconify-json/fluent-emoji-flat",
        author="Microsoft",
        licence="MIT",
    ),
    Source(style="noto", family="noto", package="@iconify-json/noto", author="Google", licence="Apache-2.0"),
    Source(style="noto-v1", family="noto", package="@iconify-json/noto-v1", author="Google", licence="Apache-2.0"),
    Source(style="twemoji", family="twemoji", package="@iconify-json/twemoji", author="Twitter", licence="CC-BY-4.0"),
    Source(
        style="emojione", family="emojione", package="@iconify-json/emojione", author="Emoji One", licence="CC-BY-4.0"
    ),
)

STYLES = tuple(source.style for source in SOURCES)
FAMILIES = tuple(dict.fromkeys(source.family for source in SOURCES))


def install_packages(folder: Path) -> Path:
    """Installs the pinned packages with npm, scripts disabled; returns the `node_modules` folder."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    subprocess.run(command, check=True)
    return folder / "node_modules"


def normalise_hexcode(hexcode: str) -> str:
    """Upper case, without variation selectors and leading zeros: sets disagree on all three."""
    parts = (part.lstrip("0") for part in hexcode.upper().split("-"))
    return "-".join(part for part in parts if part != "FE0F")


def read_labels(node_modules: Path, language: str) -> dict[str, dict[str, Any]]:
    """emojibase's record (`label`, `tags`, ...) for each hexcode, in `language`."""
    records = json.loads((node_modules / "emojibase-data" / language / "data.json").read_text("utf-8"))
    return {normalise_hexcode(record["hexcode"]): record for record in records}


def read_drawings(node_modules: Path, source: Source, hexcodes: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
    """Yields (hexcode, RGBA picture) for those of `hexcodes` that the source draws."""
    if source.style == "fluent-3d":
        yield from _read_bitmaps(node_modules / source.package / "assets", hexcodes)
        return
    folder = node_modules / source.package
    icon_set = json.loads((folder / "icons.json").read_text("utf-8"))
    names = _icon_names(node_modules, folder)
    for hexcode in hexcodes:
        for name in names.get(hexcode, ()):
            icon = _resolve_icon(icon_set, name)
            if icon is not None:
                yield hexcode, _rasterise(icon, icon_set)
                break


def _read_bitmaps(assets: Path, hexcodes: Sequence[str]) -> Iterator[tuple[str, Image.Image]]:
    files = {normalise_hexcode(path.stem): path for path in sorted(assets.glob("*.webp"))}
    for hexcode in hexcodes:
        if hexcode in files:
            yield hexcode, Image.open(files[hexcode]).convert("RGBA")


def _icon_names(node_modules: Path, folder: Path) -> dict[str, list[str]]:
    """Names to try for each hexcode: the set's own, then what other sets call it: three sets have no table."""
    tables = sorted((node_modules / "@iconify-json").glob("*/chars.json"), key=lambda path: path.parent != folder)
    names: dict[str, list[str]] = {}
    for table in tables:
        for hexcode, name in json.loads(table.read_text("utf-8")).items():
            names.setdefault(normalise_hexcode(hexcode), []).append(name)
    for hexcode, record in read_labels(node_modules, "en").items():
        names.setdefault(hexcode, []).append(record["label"].lower().replace(" ", "-"))
    return names


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
