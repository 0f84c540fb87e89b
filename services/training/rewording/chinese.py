"""The Chinese test of paraphrases: 200 captions written by hand, in everyday words that no template has.

Other nouns (小羊羔, 小轿车), other measure words (一台小轿车, 一栋屋子), another word order. Each line of the file has
the facts that the sentence states, so that a scene can be composed for it, and the words that neither the captions of
scenes nor any label or tag of a pictogram has.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.training.data.scenes.truth import Fact

CAPTIONS_FILE = Path(__file__).with_name("chinese_captions.jsonl")


@dataclass(frozen=True, kw_only=True)
class HandWrittenCaption:
    """A sentence and what it states."""

    text: str
    facts: frozenset[Fact]
    unseen: tuple[str, ...]
    """Words of the text that no caption of training has; empty where measure words and word order alone are new."""


@cache
def hand_written_captions() -> tuple[HandWrittenCaption, ...]:
    """All 200, in the file's order."""
    return tuple(_caption(json.loads(line)) for line in CAPTIONS_FILE.read_text("utf-8").splitlines())


def _caption(record: dict[str, Any]) -> HandWrittenCaption:
    return HandWrittenCaption(
        text=record["text"],
        facts=frozenset(Fact(kind, tuple(value)) for kind, *value in record["facts"]),
        unseen=tuple(record["unseen"]),
    )
