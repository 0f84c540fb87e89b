"""Reads labels.json: the names of the classes, one a row of the head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.errors import ModelDirectoryError
from shared.inference.predictor import LabelName


def read_labels(file: Path, *, count: int, languages: Sequence[str]) -> tuple[LabelName, ...]:
    """The classes in the order of the head.

    The file is a JSON array of objects of strings: `id`, and the name under the code of each language.

    Raises ModelDirectoryError, in one line: not JSON, another number of classes than `count`, an entry without an id or
    without one of `languages`, or an id that stands twice.
    """
    try:
        entries = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelDirectoryError(f"{file}: is not JSON: {error}") from None
    if not isinstance(entries, list):
        raise ModelDirectoryError(f"{file}: expected an array of labels, found {type(entries).__name__}")
    if len(entries) != count:
        raise ModelDirectoryError(f"{file}: expected {count} labels, found {len(entries)}")
    labels = tuple(_label(entry, f"{file}: entry {index}", languages) for index, entry in enumerate(entries))
    places: dict[str, int] = {}
    for index, label in enumerate(labels):
        if (first := places.setdefault(label.id, index)) != index:
            raise ModelDirectoryError(f"{file}: entry {index}: id {label.id!r} is that of entry {first}")
    return labels


def _label(entry: Any, place: str, languages: Sequence[str]) -> LabelName:
    for key in ("id", *languages):
        value = entry.get(key) if isinstance(entry, dict) else None
        if not isinstance(value, str) or not value.strip():
            found = "nothing" if value is None else repr(value)
            raise ModelDirectoryError(f"{place}: {key}: expected a name, found {found}")
    return LabelName(id=entry["id"], texts={language: entry[language] for language in languages})
