"""The English test of paraphrases: captions with synonyms of WordNet in them that no caption of training has.

The synonyms were read from WordNet 3.1 (relation `synonym`; `narrower` where it lists the word below the thing, as
pooch below dog; `broader` where above), reviewed by hand, and kept where neither the grammar of captions nor any label
or tag of a pictogram has the word. The table is data, so that the test needs no npm.
"""

from __future__ import annotations

import csv
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from services.training.data.english import indefinite
from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.wording import VERB_WORDS

SYNONYMS_FILE = Path(__file__).with_name("english_synonyms.csv")


@dataclass(frozen=True, kw_only=True)
class UnseenSynonym:
    """A word of the test for something that captions call otherwise."""

    kind: str
    """`object`, `colour`, `verb` or `background`."""
    name: str
    """The object class, colour or verb; for a background the one word that is replaced."""
    word: str
    plural: str
    """Of objects; else empty."""
    relation: str
    """`synonym`, `narrower` or `broader`."""


@dataclass(frozen=True, kw_only=True)
class Reworded:
    """A caption in other words."""

    text: str
    replaced: tuple[tuple[str, str], ...]
    """(word of the caption, what stands there now); empty where the caption has nothing that can be replaced."""


@cache
def unseen_synonyms() -> tuple[UnseenSynonym, ...]:
    """The whole table, in its order."""
    with SYNONYMS_FILE.open(encoding="utf-8", newline="") as file:
        return tuple(
            UnseenSynonym(
                kind=line["kind"],
                name=line["name"],
                word=line["synonym"],
                plural=line["plural"],
                relation=line["relation"],
            )
            for line in csv.DictReader(file)
        )


def reword(caption: str, seed: int) -> Reworded:
    """Puts an unseen synonym for every word that has one; equal seeds, equal words. Articles are put right."""
    rng = random.Random(f"{seed} {caption}")
    table, pattern = _replacements()
    replaced = []

    def replace(match: re.Match[str]) -> str:
        word = match["word"].lower()
        new = rng.choice(table[word])
        replaced.append((word, new))
        return f"{_article(match['article'], new)}{new}"

    return Reworded(text=pattern.sub(replace, caption), replaced=tuple(replaced))


@cache
def _replacements() -> tuple[dict[str, tuple[str, ...]], re.Pattern[str]]:
    """What may stand for each word of captions, and a pattern that finds them, the longest first."""
    table: dict[str, list[str]] = {}
    for synonym in unseen_synonyms():
        if synonym.kind == "object":
            each = object_classes()[synonym.name]
            for name in each.names:
                table.setdefault(name, []).append(synonym.word)
            for name in set(each.plurals) - set(each.names):  # the plural of fish is one of its names
                table.setdefault(name, []).append(synonym.plural)
        else:
            for name in VERB_WORDS["en"].get(synonym.name, (synonym.name,)):
                table.setdefault(name, []).append(synonym.word)
    words = "|".join(map(re.escape, sorted(table, key=len, reverse=True)))
    pattern = re.compile(rf"(?P<article>\b(?:a|an) )?\b(?P<word>{words})\b", re.IGNORECASE)
    return {name: tuple(dict.fromkeys(options)) for name, options in table.items()}, pattern


def _article(found: str | None, word: str) -> str:
    if found is None:
        return ""
    article = f"{indefinite(word)} "
    return article.capitalize() if found[0].isupper() else article
