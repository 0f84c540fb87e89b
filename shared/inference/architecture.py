"""The `[architecture]` table of a model.toml as the config class of its service. No torch here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from shared.errors import ModelDirectoryError

Config = TypeVar("Config")


def read_architecture(table: Mapping[str, Any], kind: type[Config], file: Path) -> Config:
    """An object of the dataclass `kind`, whose fields are integers, tuples or tables of them, or one of some words.

    Raises ModelDirectoryError, which names `file`, for a key that is missing, unknown, of another type or below 1, and
    for what the class itself refuses: its ValueError begins with the key.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    needed = {name for name, field in fields.items() if _has_no_default(field)}
    if missing := sorted(needed - table.keys()):
        raise ModelDirectoryError(f"{file}: architecture: expected {sorted(needed)}, without {missing}")
    if unknown := sorted(table.keys() - fields.keys()):
        raise ModelDirectoryError(f"{file}: architecture: expected {sorted(fields)}, found also {unknown}")
    hints = get_type_hints(kind)
    try:
        return kind(**{key: _value(value, hints[key], key) for key, value in table.items()})
    except ValueError as error:
        raise ModelDirectoryError(f"{file}: architecture.{error}") from None


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(value: Any, hint: Any, key: str) -> Any:
    """`value` as a field of the type `hint` has it. Raises ValueError that begins with `key`."""
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ValueError(f"{key}: expected one of {', '.join(get_args(hint))}, found {value!r}")
        return value
    wanted: type
    wanted, expected = int, "an integer"
    if get_origin(hint) is tuple:
        wanted, expected = list, "a list of integers"
    elif get_origin(hint) is Mapping:
        wanted, expected = dict, "a table of integers"
    numbers = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    if type(value) is not wanted or not all(type(number) is int for number in numbers):
        raise ValueError(f"{key}: expected {expected}, found {value!r}")
    if min(numbers, default=1 if wanted is dict else 0) < 1:
        raise ValueError(f"{key}: expected at least 1, found {value!r}")
    return tuple(numbers) if wanted is list else value
