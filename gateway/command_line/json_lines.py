"""A file of JSON objects, a line each, that is continued where it stopped; and one that is begun anew when needed."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from shared.errors import ConfigurationError

BEGINNINGS = tuple(f'{{"{name}": '.encode() for name in ("file", "text", "prompt", "prompt_sha256"))
"""Of every line that our commands write: a file of somebody else's is never cut or appended to."""


def json_line(record: Mapping[str, Any]) -> str:
    """The record on one line; what is no Unicode (a file's name may be so) is escaped."""
    line = json.dumps(record, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(record)
    return line


class JsonLines:
    """A file that is appended to, line by line; inside `with` it is open.

    Args:
        path: may exist: whole lines stay, and a broken last one is cut off. One that is new and stays empty is removed.
        key: what a record is counted as in `done`; None for one that does not count.
        unique: a field that no two lines share: the last line counts, and those before it go when the file is closed.

    Raises:
        ConfigurationError: it cannot be written, or holds something else than our lines.
    """

    def __init__(self, path: Path, key: Callable[[dict[str, Any]], str | None], *, unique: str = "") -> None:
        self.path = path
        self.done: Counter[str] = Counter()
        self._unique = unique
        self._named: Counter[str] = Counter()
        """Lines by the value of `unique`."""
        self._is_new = not path.exists()
        self._file = _opened(path)
        try:
            self._read(key)
        except BaseException:
            self._file.close()
            raise

    def _read(self, key: Callable[[dict[str, Any]], str | None]) -> None:
        whole = 0
        last: dict[str, str | None] = {}
        for number, line in enumerate(self._file, 1):
            ended = line.endswith(b"\n")
            record = _record(line) if ended else None
            if not _is_ours(line) or (ended and record is None):
                raise ConfigurationError(f"{self.path}, line {number}: not written by this command; name another file")
            if record is None:
                break
            whole += len(line)
            counted = key(record)
            if (name := self._name(record)) is not None:
                self._named[name] += 1
                last[name] = counted
            elif counted is not None:
                self.done[counted] += 1
        self.done.update(each for each in last.values() if each is not None)
        self._file.truncate(whole)
        self._file.seek(whole)

    def write(self, *records: Mapping[str, Any]) -> None:
        """Appends records, all or none as far as a killed process is concerned.

        Raises:
            ConfigurationError: the file system refuses.
        """
        self._named.update(name for record in records if (name := self._name(record)) is not None)
        lines = "".join(f"{json_line(record)}\n" for record in records).encode()
        try:
            self._file.write(lines)
            self._file.flush()
        except OSError as error:
            raise ConfigurationError(f"cannot write {self.path}: {error.strerror}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # a full disk has been told by `write`
            self._file.close()
        with suppress(OSError):
            if self._is_new and not self.path.stat().st_size:
                self.path.unlink()
            elif any(count > 1 for count in self._named.values()):
                self._drop_superseded()

    def _name(self, record: Mapping[str, Any]) -> str | None:
        name = record.get(self._unique)
        return name if isinstance(name, str) else None

    def _drop_superseded(self) -> None:
        left = Counter(self._named)
        new = self.path.with_name(f".{self.path.name}.new")
        with self.path.open("rb") as lines, new.open("wb") as kept:
            for line in lines:
                name = self._name(json.loads(line))
                if name is None or left[name] == 1:
                    kept.write(line)
                else:
                    left[name] -= 1
        shutil.copymode(self.path, new)
        new.replace(self.path)


class FailedList:
    """The inputs that failed in this run, one JSON line each; made with the first of them.

    Args:
        path: where; a list of an earlier run is removed at once, since those inputs are tried again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = False
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def add(self, record: Mapping[str, Any]) -> None:
        """Writes one.

        Raises:
            ConfigurationError: the file system refuses.
        """
        try:
            with self.path.open("ab" if self._begun else "wb") as file:
                file.write(f"{json_line(record)}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"cannot write {self.path}: {error.strerror}") from None
        self._begun = True


def _opened(path: Path) -> BinaryIO:
    """For reading and appending."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _is_ours(line: bytes) -> bool:
    """Whether it is a line of ours, or the first part of one."""
    return any(line.startswith(each) or each.startswith(line) for each in BEGINNINGS)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
