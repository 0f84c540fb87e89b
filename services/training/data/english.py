"""Turns Unicode's English labels into noun phrases: `man: red hair` into `man with red hair`, and finds the article."""

from __future__ import annotations

import re
from collections import Counter

_LOOKS = {
    "beard": "{} with a beard",
    "red hair": "{} with red hair",
    "blond hair": "{} with blond hair",
    "curly hair": "{} with curly hair",
    "white hair": "{} with white hair",
    "bald": "bald {}",
}
_NUMBERS = {1: "a", 2: "two"}
_PLURALS = {"man": "men", "woman": "women", "boy": "boys", "girl": "girls", "adult": "adults", "child": "children"}

_NO_ARTICLE = frozenset({
    "bacon", "bread", "broccoli", "butter", "coral", "falafel", "garlic", "men", "milk", "people", "rice", "spaghetti",
    "weights", "women",
})  # fmt: skip
"""Head nouns of substances and the plurals that do not end in s."""
_SINGULAR = frozenset({
    "bus", "cactus", "hibiscus", "hippopotamus", "lotus", "minibus", "octopus", "rhinoceros", "trolleybus",
})  # fmt: skip
"""These end in s and are one thing, as does all that ends in ss."""
_TAIL = re.compile(r"\b(?:with|in|of|on|at|and|without|facing|wearing|getting|showing|between|over|behind|under)\b")


def english_name(label: str) -> str:
    """A lower-case noun phrase of letters, digits, spaces, hyphens and apostrophes."""
    name = label.lower().replace("’", "'").replace("ñ", "n")
    if name.startswith("family:"):
        return _family(name.removeprefix("family: ").split(", "))
    if name.startswith(("kiss:", "couple with heart:")):
        kind, _, pair = name.partition(": ")
        return f"{_couple(pair.split(', '))} {'kissing' if kind == 'kiss' else 'with a heart'}"
    if re.search(r"o'clock$|-thirty$", name):
        return f"clock at {name}"
    name, turned, _ = name.partition(": facing right")
    who, has_look, look = name.partition(": ")
    name = _LOOKS[look].format(who) if has_look else name
    return re.sub(r"[^a-z0-9' -]", "", f"{name} facing right" if turned else name)


def article(name: str) -> str:
    """`a`, `an`, or empty for plurals and substances."""
    if name.startswith(("person ", "man ", "woman ")):
        return "a"
    head = _TAIL.split(name)[0].split() or name.split()
    last = head[-1]
    plural = last.endswith("s") and not last.endswith(("ss", "'s")) and last not in _SINGULAR
    if plural or last in _NO_ARTICLE or head[0] in ("two", "people", "men", "women"):
        return ""
    return indefinite(name)


def indefinite(phrase: str) -> str:
    """`a` or `an`, by the sound that the phrase begins with."""
    sounds_as_consonant = phrase.startswith(("uni", "euro", "one", "use", "ewe"))
    return "an" if phrase.startswith(("a", "e", "i", "o", "u", "hour", "x-ray")) and not sounds_as_consonant else "a"


def _family(members: list[str]) -> str:
    counts = Counter(members)
    words = [
        f"{'an' if one[0] == 'a' and count == 1 else _NUMBERS[count]} {one if count == 1 else _PLURALS[one]}"
        for one, count in counts.items()
    ]
    return f"family with {', '.join(words[:-1])}{' and ' if words[1:] else ''}{words[-1]}"


def _couple(pair: list[str]) -> str:
    one, other = pair
    return f"two {_PLURALS[one]}" if one == other else f"{one} and {other}"
