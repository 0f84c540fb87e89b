"""What pictures can show, with the words for it."""

from __future__ import annotations

from dataclasses import dataclass

LANGUAGES = ("en", "zh")
"""Of all words and captions that the built-in models are trained and measured on."""
NEAREST = 4
"""How many meanings of each family are kept a word."""

FAMILIES = ("concept", "scene")
"""Pictogram concepts; and the classes, colours, backgrounds and verbs of scenes."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Something that a picture can show, with the words that name it."""

    family: str
    """One of FAMILIES."""
    kind: str
    """`concept`, `object`, `colour`, `background` or `verb`."""
    id: str
    """The concept's or class's id, or the name of the colour, background or verb."""
    en: tuple[str, ...]
    """Lower case; the first is the usual one."""
    zh: tuple[str, ...]

    def names(self, language: str) -> tuple[str, ...]:
        """The words for it in `en` or `zh`."""
        return self.zh if language == "zh" else self.en
