"""A file of JSON objects, a line each, that is continued where it stopped; and one that is begun anew when needed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from gateway.command_line.printable import escaped
from shared.errors import ConfigurationError

BEGINNINGS = tuple(f'{{"{name}": '.encode() for name in ("file", "text", "prompt", "prompt_sha256"))
"""Of every line that our commands write: a file of somebody else's is never cut or appended to."""

FAILED_FIELDS = {"error", "reason", "field"}
"""Of every line of a list of failures."""
STANDARD_OUTPUT = Path("-")
NO_FILE = "not a file that can be continued; without --output all is printed, with --json as JSON lines"


def json_line(record: Mapping[str, Any]) -> str:
    """The record on one line, with nothing in it that a terminal would obey, or that is no Unicode."""
    return escaped(json.dumps(record, ensure_ascii=False))


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
        lines = "".join(f"{json_line(record)}\n" for record in records).encode()
        try:
            self._file.write(lines)
            self._file.flush()
        except OSError as error:
            raise ConfigurationError(f"cannot write {self.path}: {error.strerror}") from None
        self._named.update(name for record in records if (name := self._name(record)) is not None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            if self._is_new and not self.path.stat().st_size:
                self.path.unlink()
            elif any(count > 1 for count in self._named.values()):
                self._drop_superseded()
        with suppress(OSError):  # a full disk has been told by `write`
            self._file.close()

    def _name(self, record: Mapping[str, Any]) -> str | None:
        name = record.get(self._unique)
        return name if isinstance(name, str) else None

    def _drop_superseded(self) -> None:
        left = Counter(self._named)
        new = self.path.with_name(f".{self.path.name}.new")
        with self.path.open("rb") as lines, new.open("wb") as kept:
            for line in lines:
                name = self._name(_record(line) or {})
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

    Raises:
        ConfigurationError: what is there is no such list, or cannot be removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = False
        try:
            if path.exists():
                self._check_ours()
                path.unlink()
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None

    def _check_ours(self) -> None:
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if _is_ours(line) and not line.endswith(b"\n"):  # a kill in the middle of a write
                    break
                record = _record(line) if _is_ours(line) else None
                if record is None or not record.keys() >= FAILED_FIELDS:
                    told = "not written by this command, which lists there what fails; move it, or name another output"
                    raise ConfigurationError(f"{self.path}, line {number}: {told}")

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
    """For reading and appending, by this run alone until it is closed."""
    if path == STANDARD_OUTPUT:
        raise ConfigurationError(f"{path}: {NO_FILE}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            with ExitStack() as stack:
                stack.callback(os.close, handle)
                _lock(handle, path)
                if _is_at(path, handle):
                    stack.pop_all()
                    return os.fdopen(handle, "r+b")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _lock(handle: int, path: Path) -> None:
    """Holds the file for this run.

    Raises:
        ConfigurationError: another run has it, or it is none that keeps what is written.
    """
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise ConfigurationError(f"{path}: {NO_FILE}")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"{path}: another run is writing it; wait for its end, or name another") from None
    except OSError:  # a file system without locks: as good as we can
        return


def _is_at(path: Path, handle: int) -> bool:
    """Whether it is still the file of that name: a run that ended meanwhile may have put another in its place."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _is_ours(line: bytes) -> bool:
    """Whether it is a line of ours, or the first part of one."""
    return any(line.startswith(each) or each.startswith(line) for each in BEGINNINGS)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
