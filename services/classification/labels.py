"""Reads labels.json: the names of the labels of each head, one a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.classification.config import CONCEPT
from shared.errors import ModelDirectoryError
from shared.inference.predictor import LabelName

HeadLabels = dict[str, tuple[LabelName, ...]]


def read_labels(file: Path, *, counts: Mapping[str, int], languages: Sequence[str]) -> HeadLabels:
    """The labels of each head of `counts`, in the order of its rows.

    The file is a JSON object with an array a head, or, of a model that has no further head, the array of its concepts.
    An entry is an object of strings: `id`, and the name under the code of each language.

    Raises ModelDirectoryError, in one line: not JSON, other heads or another number of labels than `counts`, an entry
    without an id or without one of `languages`, or an id that stands twice in a head.
    """
    try:
        table = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDirectoryError(f"{file}: is not JSON: {error}") from None
    if isinstance(table, list):
        table = {CONCEPT: table}
    if not isinstance(table, dict) or table.keys() != counts.keys():
        found = ", ".join(table) if isinstance(table, dict) else type(table).__name__
        raise ModelDirectoryError(f"{file}: expected labels of {', '.join(counts)}, found {found}")
    return {
        head: _head(table[head], file if table.keys() == {CONCEPT} else f"{file}: {head}", count, languages)
        for head, count in counts.items()
    }


def _head(entries: Any, place: Path | str, count: int, languages: Sequence[str]) -> tuple[LabelName, ...]:
    if not isinstance(entries, list):
        raise ModelDirectoryError(f"{place}: expected an array of labels, found {type(entries).__name__}")
    if len(entries) != count:
        raise ModelDirectoryError(f"{place}: expected {count} labels, found {len(entries)}")
    labels = tuple(_label(entry, f"{place}: entry {index}", languages) for index, entry in enumerate(entries))
    places: dict[str, int] = {}
    for index, label in enumerate(labels):
        if (first := places.setdefault(label.id, index)) != index:
            raise ModelDirectoryError(f"{place}: entry {index}: id {label.id!r} is that of entry {first}")
    return labels


def _label(entry: Any, place: str, languages: Sequence[str]) -> LabelName:
    for key in ("id", *languages):
        value = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(value, str) or not value.strip():
            found = "nothing" if value is None else repr(value)
            raise ModelDirectoryError(f"{place}: {key}: expected a name, found {found}")
    return LabelName(id=entry["id"], texts={language: entry[language] for language in languages})
