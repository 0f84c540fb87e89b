"""The sprites of scenes: each class's art in seven styles, cropped, at most 128 px, in one file to carry."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.data.concepts import read_labels
from services.training.data.drawings import find_drawings, read_drawings
from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.paint import body_share, natural_colour
from services.training.data.sources import SOURCES
from services.training.data.splits import pair_split
from shared.errors import ConfigurationError

SIDE = 128
MINIMUM_BODY = 0.25  # of the area: a smaller body in another colour is no "red car"
PLANTS = ("tulip", "rose", "apple")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sprite:
    """One drawing of one class in one style."""

    kind: str
    style: str
    verb: str | None
    colour: str | None
    """The colour it is drawn in, where the class has colours and one of the seven fits."""
    paintable: bool
    plain: bool
    """Whether it may be shown as it is drawn; not where people would differ on its colour."""
    picture: NDArray[np.uint8]
    """(H, W, 4) RGBA, cropped to what is visible; the longer side is at most 128."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpriteSet:
    """All sprites, in a fixed order."""

    sprites: tuple[Sprite, ...]

    @cached_property
    def styles(self) -> tuple[str, ...]:
        """Styles in the order of their first sprite."""
        return tuple(dict.fromkeys(each.style for each in self.sprites))

    @cached_property
    def of(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Indices of the sprites of each (style, kind)."""
        found: dict[tuple[str, str], list[int]] = {}
        for index, each in enumerate(self.sprites):
            found.setdefault((each.style, each.kind), []).append(index)
        return {key: tuple(indices) for key, indices in found.items()}


def build_sprites(node_modules: Path, report: Callable[[str], None]) -> SpriteSet:
    """Reads every class's drawings in the colour styles; `report` hears one line a style. Deterministic.

    Drawings that pictograms hold out are left out: a scene would show them to whoever is tested on them.
    """
    labels = read_labels(node_modules)
    pieces = [(each, piece) for each in object_classes().values() for piece in each.pieces]
    sprites = []
    for source in SOURCES:
        if source.style not in STYLES:
            continue
        wanted = {piece.hexcode for _, piece in pieces if pair_split(piece.hexcode, source.family) == "train"}
        icons = find_drawings(node_modules, source, labels)
        drawings = dict(read_drawings(node_modules, source, {code: icons[code] for code in icons if code in wanted}))
        found = 0
        for each, piece in pieces:
            if piece.hexcode in drawings and source.style not in piece.unfit:
                sprites.append(make_sprite(each.kind, source.style, piece.verb, drawings[piece.hexcode]))
                found += 1
        report(f"{source.style}: {found} of {len(pieces)} sprites")
    return SpriteSet(sprites=tuple(sprites))


STYLES = ("fluent-3d", "fluent-color", "fluent-flat", "noto", "noto-v1", "twemoji", "emojione")
"""Styles in full colour: a scene in outlines only has no colours to speak of."""


def make_sprite(kind: str, style: str, verb: str | None, drawing: Image.Image) -> Sprite:
    """Crops to the drawing, averages down to 128 px, and finds its colour."""
    box = drawing.getchannel("A").point(lambda value: 255 if value > 8 else 0).getbbox()
    cropped = drawing.convert("RGBA").crop(box)
    scale = min(1.0, SIDE / max(cropped.size))
    size = (max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale)))
    picture = np.array(cropped.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
    picture[picture[..., 3] == 0] = 0  # what nobody sees should cost nothing
    leaves = kind in PLANTS
    each = object_classes()[kind]
    paintable = each.paintable and style not in each.unpaintable
    paintable = paintable and body_share(picture, leaves=leaves) >= MINIMUM_BODY
    colour, certain = natural_colour(picture, leaves=leaves) if paintable else (None, True)
    return Sprite(kind=kind, style=style, verb=verb, colour=colour, paintable=paintable, plain=certain, picture=picture)


def write_sprites(sprites: SpriteSet, file: Path) -> None:
    """Writes one tar of PNGs with an index; equal sprites give equal bytes. It appears only when it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.partial")
    rows = [
        {
            "kind": each.kind,
            "style": each.style,
            "verb": each.verb,
            "colour": each.colour,
            "paint": each.paintable,
            "plain": each.plain,
        }
        for each in sprites.sprites
    ]
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
        _add(tar, "sprites.json", (json.dumps(rows, indent=0) + "\n").encode())
        for index, each in enumerate(sprites.sprites):
            buffer = io.BytesIO()
            Image.fromarray(each.picture).save(buffer, "PNG", optimize=True)
            _add(tar, f"{index:04}.png", buffer.getvalue())
    partial.replace(file)


def read_sprites(file: Path) -> SpriteSet:
    """Reads what `write_sprites` wrote.

    Raises ConfigurationError when there is no such file, or it is none of sprites; `diptych data build` makes one.
    """
    try:
        with tarfile.open(file, "r:") as tar:
            contents = {member.name: _read(tar, member) for member in tar}
        rows = json.loads(contents["sprites.json"])
        return SpriteSet(
            sprites=tuple(_sprite(row, contents[f"{index:04}.png"]) for index, row in enumerate(rows)),
        )
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise ConfigurationError(f"{file} holds no sprites ({error}); `diptych data build` makes them") from None


def _sprite(row: dict[str, Any], png: bytes) -> Sprite:
    return Sprite(
        kind=row["kind"],
        style=row["style"],
        verb=row["verb"],
        colour=row["colour"],
        paintable=row["paint"],
        plain=row["plain"],
        picture=np.array(Image.open(io.BytesIO(png)).convert("RGBA")),
    )


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()
