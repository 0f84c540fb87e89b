"""What scenes are made of: object classes (classes.csv), seven colours and ten backgrounds, named in both languages."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CLASSES_FILE = Path(__file__).with_name("classes.csv")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One piece of art: an emoji's hexcode, what it is drawn doing, and the styles whose drawing does not fit."""

    hexcode: str
    verb: str | None
    unfit: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ObjectClass:
    """One kind of thing. Names and plurals: the canonical one first, then synonyms in the same order."""

    kind: str
    names: tuple[str, ...]
    plurals: tuple[str, ...]
    zh: tuple[str, ...]
    measure: str
    size: float
    """Square root of its area in a scene of three things at middle depth, in sides of the picture."""
    stances: dict[str, str]
    """How it stands in each background where it may be: `ground`, `far`, `float`, `sky`, `swim` or `drift`."""
    paintable: bool
    unpaintable: tuple[str, ...]
    """Styles whose drawing of it looks wrong in other colours; found by looking."""
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Colour:
    """One colour word and the paint for it."""

    name: str
    zh: str
    """Without 色, such as 红."""
    rgb: tuple[int, int, int]


COLOURS = {
    each.name: each
    for each in (
        Colour(name="red", zh="红", rgb=(222, 38, 38)),
        Colour(name="yellow", zh="黄", rgb=(255, 214, 20)),
        Colour(name="green", zh="绿", rgb=(52, 168, 62)),
        Colour(name="blue", zh="蓝", rgb=(36, 106, 232)),
        Colour(name="purple", zh="紫", rgb=(132, 58, 196)),
        Colour(name="pink", zh="粉红", rgb=(255, 128, 182)),
        Colour(name="black", zh="黑", rgb=(44, 44, 50)),
    )
}

BACKGROUNDS = ("meadow", "beach", "desert", "snow", "night", "street", "sea", "underwater", "space", "table")


@cache
def object_classes() -> dict[str, ObjectClass]:
    """Every class by its kind, in the file's order."""
    with CLASSES_FILE.open(encoding="utf-8", newline="") as file:
        return {line["kind"]: _object_class(line) for line in csv.DictReader(file)}


def _object_class(line: dict[str, str]) -> ObjectClass:
    stances: dict[str, str] = {}
    for part in line["where"].split(";"):
        stance, _, backgrounds = part.partition(":")
        stances |= dict.fromkeys(backgrounds.split(), stance)
    return ObjectClass(
        kind=line["kind"],
        names=(line["kind"], *filter(None, line["synonyms"].split("|"))),
        plurals=tuple(line["plurals"].split("|")),
        zh=(line["zh"], *filter(None, line["zh_synonyms"].split("|"))),
        measure=line["measure"],
        size=float(line["size"]),
        stances=stances,
        paintable=line["paint"] != "",
        unpaintable=tuple(line["paint"].split("!")[1:]),
        pieces=tuple(_piece(part) for part in line["pieces"].split("|")),
    )


def _piece(text: str) -> Piece:
    """`1F408!emojione/running`: hexcode, unfit styles, verb."""
    drawing, _, verb = text.partition("/")
    hexcode, *unfit = drawing.split("!")
    return Piece(hexcode=hexcode, verb=verb or None, unfit=tuple(unfit))
