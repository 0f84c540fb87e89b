"""The 1,420 things that are drawn: everyday ones named by hand, the others from Unicode's labels and tags."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.training.data.chinese import chinese_name, measure_word
from services.training.data.drawings import normalise_hexcode
from services.training.data.english import article, english_name
from services.training.data.pack import Concept
from services.training.data.sources import TEXTS

GROUPS = (
    "smileys-emotion", "people-body", "animals-nature", "food-drink", "travel-places", "activities", "objects",
)  # fmt: skip
"""Unicode's groups that show things; not components, symbols and flags."""

EVERYDAY_FILE = Path(__file__).with_name("concepts.csv")
"""Hand-made words of 250 everyday things."""
CORRECTIONS_FILE = Path(__file__).with_name("words.csv")
"""Hand-made words of things whose label makes no good noun phrase; what a cell leaves empty is derived."""


@dataclass(frozen=True, kw_only=True)
class DrawnConcept:
    """A concept and where its drawings are found."""

    hexcode: str
    label: str
    """Unicode's English name."""
    everyday: bool
    """It is one of the 250."""
    concept: Concept


def read_concepts(node_modules: Path) -> tuple[DrawnConcept, ...]:
    """Everyday concepts in the order of their file, then the others in Unicode's."""
    english, chinese = (_read_records(node_modules, language) for language in ("en", "zh"))
    slugs = json.loads((node_modules / TEXTS / "meta" / "groups.json").read_text("utf-8"))
    everyday, corrections = _read_words(EVERYDAY_FILE), _read_words(CORRECTIONS_FILE)
    hexcodes = [code for code, record in english.items() if slugs["groups"].get(str(record.get("group"))) in GROUPS]
    return tuple(
        DrawnConcept(
            hexcode=code,
            label=english[code]["label"],
            everyday=code in everyday,
            concept=_concept(english[code], chinese[code], everyday.get(code) or corrections.get(code), slugs),
        )
        for code in dict.fromkeys((*everyday, *hexcodes))
    )


def read_labels(node_modules: Path) -> dict[str, str]:
    """Unicode's English name of each hexcode."""
    return {hexcode: record["label"] for hexcode, record in _read_records(node_modules, "en").items()}


def slug(name: str) -> str:
    """`glass of milk` -> `glass-of-milk`."""
    return re.sub(r"[^a-z0-9]+", "-", name.replace("'", "")).strip("-")


def _concept(
    english: dict[str, Any], chinese: dict[str, Any], words: dict[str, str] | None, slugs: dict[str, dict[str, str]]
) -> Concept:
    """`words` are hand-made: `-` as article means none."""
    subgroup = slugs["subgroups"][str(english["subgroup"])]
    derived = english_name(english["label"])
    given = {key: cell for key, cell in (words or {}).items() if cell}
    name = given.get("en", derived)
    zh = given.get("zh") or chinese_name(chinese["label"], derived, subgroup)
    return Concept(
        id=slug(name),
        article=given["article"].strip("-") if "article" in given else article(name),
        en=name,
        measure=given.get("measure") or measure_word(zh, subgroup),
        zh=zh,
        en_synonyms=_several(given.get("en_synonyms", "")),
        zh_synonyms=_several(given.get("zh_synonyms", "")),
        en_tags=tuple(english.get("tags", ())),
        zh_tags=tuple(chinese.get("tags", ())),
        group=slugs["groups"][str(english["group"])],
        subgroup=subgroup,
    )


def _several(cell: str) -> tuple[str, ...]:
    return tuple(filter(None, cell.split("|")))


def _read_words(file: Path) -> dict[str, dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return {normalise_hexcode(line["hex"]): line for line in csv.DictReader(lines)}


def _read_records(node_modules: Path, language: str) -> dict[str, dict[str, Any]]:
    """emojibase's record (`label`, `tags`, `group`, ...) for each hexcode, in `language`."""
    records = json.loads((node_modules / TEXTS / language / "data.json").read_text("utf-8"))
    return {normalise_hexcode(record["hexcode"]): record for record in records}
