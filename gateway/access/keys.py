"""Who may call a gateway: keys by their hashes and certificates by their names, as a TOML file has them.

A key is 256 random bits, so SHA-256 is the right hash: a slow one protects what people make up, which can be guessed,
and would cost every call milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import ConfigurationError

Scope = Literal["generate", "describe", "encode"]
"""What a key may be for: pictures of texts; words for pictures; points of the joint space."""
SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY_BYTES = 32
KEY_PREFIX = "diptych_"
"""So that a key is known for one wherever it turns up, by scanners for secrets too."""
MOST_KEY_CHARACTERS = 256
"""Longer ones are none of ours, and not hashed."""
MOST_FILE_BYTES = 1024 * 1024
"""Of a file of keys: thousands of them."""
_INDEX_BYTES = 8
_NAME_CHARACTERS = 24
"""Of a field that an error names: what is longer is none of ours, and may be a key."""

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Burst = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class Key(BaseModel):
    """One caller: what it shows, what it may call, and how much."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$", repr=False)
    identity: str | None = Field(default=None, min_length=1)
    scopes: list[Scope]
    expires: AwareDatetime | None = None
    calls_per_second: Rate | None = None
    calls_burst: Burst | None = None
    pictures_per_second: Rate | None = None
    pictures_burst: Burst | None = None
    concurrent_calls: int | None = Field(default=None, ge=1)
    priority: Literal["interactive", "batch"] = "interactive"

    @model_validator(mode="after")
    def _shows_one_thing(self) -> Key:
        if (self.sha256 is None) == (self.identity is None):
            raise ValueError("it must have either sha256 or identity")
        for limit in ("calls", "pictures"):
            if getattr(self, f"{limit}_burst") is not None and getattr(self, f"{limit}_per_second") is None:
                raise ValueError(f"{limit}_burst goes with {limit}_per_second alone")
        return self


class KeyRing:
    """The keys of a file, to be found by what a caller shows."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.keys = tuple(keys)
        self._by_identity = {key.identity: key for key in self.keys if key.identity is not None}
        self._by_hash: dict[bytes, list[tuple[bytes, Key]]] = {}
        for key in self.keys:
            if key.sha256 is not None:
                digest = bytes.fromhex(key.sha256)
                self._by_hash.setdefault(digest[:_INDEX_BYTES], []).append((digest, key))

    def of_key(self, key: str) -> Key | None:
        """Whose key it is; None of one that nobody has.

        How long it takes may tell how far a hash agrees with one of ours, and nobody can choose the hash of a key.
        """
        if len(key) > MOST_KEY_CHARACTERS or not key.isascii():
            return None
        digest = hashlib.sha256(key.encode()).digest()
        for known, owner in self._by_hash.get(digest[:_INDEX_BYTES], ()):
            if hmac.compare_digest(known, digest):
                return owner
        return None

    def of_identity(self, name: str) -> Key | None:
        """Whose certificate it is; None of one that the file does not name."""
        return self._by_identity.get(name)


def new_key() -> str:
    """A key that nobody has."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def hash_of(key: str) -> str:
    """What the file has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_content(file: Path) -> bytes:
    """The bytes of a file of keys.

    Raises:
        ConfigurationError: it cannot be read, or is too large.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or error}") from error
    if len(content) > MOST_FILE_BYTES:
        raise ConfigurationError(f"{file}: it has more than {MOST_FILE_BYTES} bytes, the limit of a file of keys")
    return content


def parse_keys(content: bytes, file: Path) -> KeyRing:
    """The keys in a file's bytes. Messages never quote a value: somebody may have put a key where its hash belongs.

    Raises:
        ConfigurationError: it is no TOML, or says something else than keys.
    """
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, or a number of thousands of digits
        place = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else "text"
        raise ConfigurationError(f"{file}: it is not TOML: {place}") from None
    tables = document.pop("keys", [])
    if document or not isinstance(tables, list):
        raise ConfigurationError(f"{file}: it must hold tables [[keys]], and nothing else")
    keys = [_parsed(table, place, file) for place, table in enumerate(tables, start=1)]
    for field in ("name", "sha256", "identity"):
        _check_unique(keys, field, file)
    return KeyRing(keys)


def _parsed(table: Any, place: int, file: Path) -> Key:
    try:
        return Key.model_validate(table)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"] if len(str(part)) <= _NAME_CHARACTERS)
        told = problem["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{file}: key {place}: {f'{where}: ' if where else ''}{told}") from None


def _check_unique(keys: list[Key], field: str, file: Path) -> None:
    values = Counter(value for key in keys if (value := getattr(key, field)) is not None)
    for place, key in enumerate(keys, start=1):
        if values[getattr(key, field)] > 1:
            raise ConfigurationError(f"{file}: key {place}: another one has the same {field}")


def told_entry(entry: Mapping[str, object]) -> str:
    """An entry of the file, as TOML; its values are those of `Key`."""
    lines = [f"{name} = {_told(value)}" for name, value in entry.items() if value is not None]
    return "\n".join(["[[keys]]", *lines, ""])


def _told(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_told, value))}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:g}" if isinstance(value, float) else str(value)
