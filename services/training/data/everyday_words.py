"""Which words a lexicon holds: everyday English of WordNet, everyday Chinese of emojibase and of E5's vocabulary."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from services.training.data.wordnet import Sense, read_senses

ENGLISH_WORDS = 27_000

_ENGLISH = re.compile(r"[a-z]{2,}(?: [a-z]{2,})?")
_CHINESE = re.compile(r"[\u4e00-\u9fff]{2,6}")
_PIECE = re.compile(r"\u2581?([\u4e00-\u9fff]{2,4})")

_SEEN_FIELDS = {0, 5, 6, 7, 8, 13, 17, 18, 19, 20, 25, 26, 29, 30, 35, 36, 37, 38, 39, 43}
"""Lexicographer files of what a picture can show: things, beings, looks, deeds; not acts of law or units."""

_VOWELS = "aeiou"


def english_words(
    node_modules: Path, known: Iterable[str], frequency: Callable[[Sequence[str]], Sequence[float]]
) -> list[str]:
    """ENGLISH_WORDS words of WordNet, sorted, lower case, one or two parts.

    First all that its corpora hold and those of `known` (whole words of a teacher's vocabulary), verbs of motion and
    other visible deeds among them as "-ing" forms too; then what names something visible, by `frequency` of each word.
    """
    senses = [sense for sense in read_senses(node_modules) if _ENGLISH.fullmatch(sense.word)]
    counts: dict[str, int] = defaultdict(int)
    for sense in senses:
        counts[sense.word] += sense.count
    chosen = {word for word, count in counts.items() if count} | (set(known) & set(counts))
    chosen |= {gerund(sense.word) for sense in senses if sense.word in chosen and _is_visible_deed(sense)}
    rest = sorted({sense.word for sense in senses if sense.field in _SEEN_FIELDS and sense.rank <= 4} - chosen)
    by_score = dict(zip(rest, frequency(rest), strict=True))
    rest.sort(key=lambda word: (-by_score[word], word))
    return sorted(chosen | set(rest[: max(0, ENGLISH_WORDS - len(chosen))]))


def chinese_words(node_modules: Path, pieces: Iterable[str]) -> list[str]:
    """Words of emojibase's labels and tags, and those of `pieces` that have two to four characters; sorted."""
    found: set[str] = set()
    for record in json.loads((node_modules / "emojibase-data" / "zh" / "data.json").read_text("utf-8")):
        found |= {word for word in (record["label"], *record.get("tags", ())) if _CHINESE.fullmatch(word)}
    found |= {match[1] for piece in pieces if (match := _PIECE.fullmatch(piece))}
    return sorted(found)


def gerund(verb: str) -> str:
    """The "-ing" form: `run` -> `running`, `dance` -> `dancing`, `jump off` -> `jumping off`."""
    head, space, tail = verb.partition(" ")
    if head.endswith("ie"):
        head = f"{head[:-2]}y"
    elif head.endswith("e") and not head.endswith(("ee", "oe", "ye")) and len(head) > 2:
        head = head[:-1]
    elif _doubles(head):
        head += head[-1]
    return f"{head}ing{space}{tail}"


def _doubles(verb: str) -> bool:
    if len(verb) < 3 or verb[-1] in "wxy" or verb[-1] in _VOWELS:
        return False
    closed = verb[-2] in _VOWELS and verb[-3] not in _VOWELS
    return closed and sum(letter in _VOWELS for letter in verb) == 1  # one syllable: `run`, but not `open`


def _is_visible_deed(sense: Sense) -> bool:
    return sense.part == "v" and sense.field in {29, 35, 36, 38, 39} and sense.rank <= 3 and " " not in sense.word
