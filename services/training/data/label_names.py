"""What the labels of the image encoder's heads are called in both languages."""

from __future__ import annotations

import csv
from pathlib import Path

from services.training.data.pack import Pack
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.wording import BACKGROUND_WORDS

PLAIN = "plain"
"""The background of pictograms, after those of scenes."""
NAMES_FILE = Path(__file__).with_name("label_names.csv")

Label = dict[str, str]
"""`id`, and its name under the code of each language."""


def head_labels(pack: Pack) -> dict[str, list[Label]]:
    """By head its labels, in the order of the head's rows; the concepts have names in the pack."""
    named = {(row["head"], row["id"]): row for row in csv.DictReader(NAMES_FILE.open(encoding="utf-8"))}

    def label(head: str, name: str) -> Label:
        row = named[head, name]
        return {"id": name, "en": row["en"], "zh": row["zh"]}

    backgrounds = [
        {"id": one, **{language: words[one][0] for language, words in BACKGROUND_WORDS.items()}} for one in BACKGROUNDS
    ]
    return {
        "subgroup": [label("subgroup", one) for one in sorted({concept.subgroup for concept in pack.concepts})],
        "background": [*backgrounds, label("background", PLAIN)],
        "objects": [{"id": kind, "en": one.names[0], "zh": one.zh[0]} for kind, one in object_classes().items()],
        "colour": [{"id": name, "en": name, "zh": f"{one.zh}色"} for name, one in COLOURS.items()],
        "style": [label("style", one) for one in pack.styles],
    }
