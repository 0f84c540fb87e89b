"""Reads lists of a user's own pictures: JSON lines, CSV, or WebDataset shards. Bad entries are told, not raised."""

from __future__ import annotations

import csv
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from shared.errors import ConfigurationError
from shared.limits import IMAGE_BYTES

COLUMNS = ("image", "caption", "label", "language")
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""BCP 47, roughly."""
PICTURE_SUFFIXES = frozenset({"png", "jpg", "jpeg", "webp", "gif", "bmp"})


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Something in the data that training goes without."""

    place: str
    """File and line, or shard and key."""
    image: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """Where a picture's bytes are: a file, or a stretch of a tar file."""

    name: str
    path: Path
    offset: int = 0
    size: int | None = None
    """None: the whole file."""

    def read(self) -> bytes:
        """The bytes. Raises OSError, or ValueError for what is no file or too large to be worth reading."""
        if not self.path.is_file():
            raise ValueError("does not exist" if not self.path.exists() else "is not a file")
        size = self.path.stat().st_size if self.size is None else self.size
        if size > IMAGE_BYTES:
            raise ValueError(f"has {size} bytes; the limit is {IMAGE_BYTES}")
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return file.read(size)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture and what was said of it; empty where nothing was."""

    place: str
    picture: PictureFile
    caption: str = ""
    label: str = ""
    language: str = ""


def read_entries(data: Path) -> Iterator[Entry | Skipped]:
    """The entries of a .jsonl or .csv file, a .tar file, or a folder of .tar files, in order.

    JSON lines are objects, and CSV has a header, of `image` (a path, relative to the file), `caption`, `label` and
    `language` (BCP 47). In a shard the files of one name belong together (WebDataset): a picture, `.txt` with the
    caption, `.cls` with the label, `.json` with an object as above.

    Raises ConfigurationError when `data` cannot be read or is of no such kind.
    """
    try:
        if data.is_dir():
            shards = sorted(data.glob("*.tar"))
            if not shards:
                raise ConfigurationError(f"{data}: has no .tar file in it")
            for shard in shards:
                yield from _read_shard(shard)
        elif data.suffix in (".jsonl", ".ndjson"):
            yield from _read_json_lines(data)
        elif data.suffix == ".csv":
            yield from _read_csv(data)
        elif data.suffix == ".tar":
            yield from _read_shard(data)
        else:
            raise ConfigurationError(f"{data}: expected a .jsonl, .csv or .tar file, or a folder of .tar files")
    except OSError as error:
        raise ConfigurationError(f"{data}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{data}: is not UTF-8 ({error.reason} at byte {error.start})") from None


def _read_json_lines(data: Path) -> Iterator[Entry | Skipped]:
    with data.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"{data.name}:{number}"
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield Skipped(place=place, image="", reason=f"is not JSON: {error}")
                    continue
                yield _entry(record, place, data.parent)


def _read_csv(data: Path) -> Iterator[Entry | Skipped]:
    with data.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file)
        try:
            if "image" not in (lines.fieldnames or ()):
                raise ConfigurationError(
                    f"{data}: its first line names no column image, but {lines.fieldnames or 'none'}"
                )
            for record in lines:
                yield _entry(record, f"{data.name}:{lines.line_num}", data.parent)
        except csv.Error as error:
            raise ConfigurationError(f"{data}: line {lines.line_num}: is not CSV: {error}") from None


def _entry(record: Any, place: str, folder: Path) -> Entry | Skipped:
    if not isinstance(record, Mapping):
        return Skipped(place=place, image="", reason=f"is {type(record).__name__}, not an object")
    values = {name: "" if record.get(name) is None else record[name] for name in COLUMNS}
    image = values.pop("image")
    if not isinstance(image, str) or not image.strip():
        return Skipped(place=place, image="", reason="names no image")
    # JSON can escape half of a pair of UTF-16, which no file, list or tokenizer can take.
    if broken := [name for name in COLUMNS if isinstance(record.get(name), str) and not _is_text(record[name])]:
        return Skipped(place=place, image=ascii(image), reason=f"{broken[0]} is no Unicode text")
    if "\0" in image:
        return Skipped(place=place, image=image, reason="image is no path: it has a zero byte")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return Skipped(place=place, image=image, reason=f"{name} is {type(value).__name__}, not text")
    if (language := values["language"]) and not LANGUAGE.fullmatch(str(language)):
        return Skipped(place=place, image=image, reason=f"language {language!r} is no code such as en or zh-Hant")
    texts = {name: " ".join(str(value).split()) for name, value in values.items()}
    return Entry(place=place, picture=PictureFile(name=image, path=folder / image), **texts)


def _is_text(value: str) -> bool:
    """Whether UTF-8 can say it; names of files that are no UTF-8 pass, as Python keeps them (PEP 383)."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _read_shard(shard: Path) -> Iterator[Entry | Skipped]:
    """Entries by key, the name up to the first dot after the last slash; pictures are left where they are."""
    pictures: dict[str, PictureFile] = {}
    texts: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile():
                    continue
                name = PurePosixPath(member.name)
                stem, _, suffix = name.name.partition(".")
                key, kind = str(name.parent / stem), suffix.lower()
                if kind in PICTURE_SUFFIXES:
                    pictures[key] = PictureFile(
                        name=f"{shard.name}/{member.name}", path=shard, offset=member.offset_data, size=member.size
                    )
                elif kind in ("txt", "cls", "json") and (file := tar.extractfile(member)) is not None:
                    texts.setdefault(key, {})[kind] = file.read(IMAGE_BYTES).decode("utf-8", "replace")
    except tarfile.TarError as error:
        raise ConfigurationError(f"{shard}: is not a tar file without compression: {error}") from None
    for key in [*pictures, *(texts.keys() - pictures.keys())]:
        place = f"{shard.name}:{key}"
        if key not in pictures:
            yield Skipped(place=place, image="", reason="has no picture")
            continue
        record = {"caption": texts.get(key, {}).get("txt"), "label": texts.get(key, {}).get("cls")}
        try:
            said = json.loads(texts.get(key, {}).get("json", "{}"))
        except (ValueError, RecursionError) as error:
            yield Skipped(place=place, image=pictures[key].name, reason=f"its .json is not JSON: {error}")
            continue
        record |= said if isinstance(said, dict) else {}
        entry = _entry({**record, "image": pictures[key].name}, place, shard.parent)
        yield entry if isinstance(entry, Skipped) else _with_picture(entry, pictures[key])


def _with_picture(entry: Entry, picture: PictureFile) -> Entry:
    return Entry(place=entry.place, picture=picture, caption=entry.caption, label=entry.label, language=entry.language)
