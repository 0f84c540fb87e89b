"""A node_modules folder with drawings that are simple enough to check by eye: coloured discs and squares."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from PIL import Image, ImageDraw

from services.training.data.concepts import EVERYDAY_FILE
from services.training.data.sources import SOURCES, TEXTS

FOX, APPLE, RUNNER = "1F98A", "1F34E", "1F3C3"
LABELS = {FOX: "fox", APPLE: "red-apple"}
"""What icons are called, and so what the sets' tables say."""


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")


def write_bitmap(file: Path, colour: str, *, side: int = 256, radius: int = 60) -> None:
    """A disc in the middle of a transparent square."""
    picture = Image.new("RGBA", (side, side))
    middle = side // 2
    ImageDraw.Draw(picture).ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=colour)
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.save(file, lossless=True)


def square(colour: str) -> dict[str, object]:
    return {"body": f'<rect x="4" y="4" width="8" height="8" fill="{colour}"/>'}


def write_icons(folder: Path, icons: dict[str, dict[str, object]], **more: object) -> None:
    write_json(folder / "icons.json", {"icons": icons, "width": 16, "height": 16, **more})


def write_art(root: Path, colours: dict[str, str]) -> Path:
    """Names of the everyday things, of runners and of a red-haired man; every set draws `colours`, by hexcode."""
    node_modules = root / "node_modules"
    write_texts(node_modules / TEXTS)
    for source in SOURCES:
        folder = node_modules / source.package
        if not source.icons:
            for hexcode, colour in colours.items():
                write_bitmap(folder / "assets" / f"{hexcode.lower()}.webp", colour)
            continue
        write_icons(folder, {LABELS[code]: square(colour) for code, colour in colours.items()}, aliases={})
        write_json(folder / "chars.json", {code.lower(): LABELS[code] for code in colours})
    return node_modules


def write_texts(folder: Path) -> None:
    """A folder like emojibase's: the records of both languages and the names of groups."""
    with EVERYDAY_FILE.open(encoding="utf-8", newline="") as lines:
        everyday = {line["hex"]: line for line in csv.DictReader(lines)}
    animal, person, flag = {"group": 3, "subgroup": 34}, {"group": 1, "subgroup": 23}, {"group": 9, "subgroup": 97}
    for language in ("en", "zh"):
        records = [
            {"hexcode": code, "label": LABELS.get(code, line["en"]) if language == "en" else line["zh"]} | animal
            for code, line in everyday.items()
        ]
        records += [
            {"hexcode": code, "label": labels[language], "tags": [f"tag {language}"]} | place
            for code, labels, place in (
                (RUNNER, {"en": "person running", "zh": "跑步者"}, person),
                (f"{RUNNER}-200D-2640-FE0F", {"en": "woman running", "zh": "女生跑步"}, person),
                ("1F468-200D-1F9B0", {"en": "man: red hair", "zh": "男人: 红发"}, person),
                ("1F38C", {"en": "crossed flags", "zh": "交叉旗"}, flag),
            )
        ]
        write_json(folder / language / "data.json", records)
    write_json(
        folder / "meta" / "groups.json",
        {
            "groups": {"1": "people-body", "3": "animals-nature", "9": "flags"},
            "subgroups": {"23": "person", "34": "animal-mammal", "97": "flag"},
        },
    )
