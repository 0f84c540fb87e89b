"""What of others' texts (a file's name, a model's, a server's line) may reach a terminal, which obeys some of it."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and line feed, DEL, C1: escapes begin so
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks that turn the direction of what follows, or end the line
    "\ud800-\udfff]"  # surrogates: what is no UTF-8 in a file's name
)


def printable(text: str) -> str:
    """The text, with a replacement character for each that a terminal would obey or cannot show."""
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(json_text: str) -> str:
    """The same JSON value without such characters: they are written by their numbers."""
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)
