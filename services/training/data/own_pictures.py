"""A data set of the user's own: pictures decoded once, what was said of them, and which of them are for validation."""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.training.data.entries import Entry, PictureFile, Skipped, read_entries
from shared.cpus import available_cpus
from shared.errors import ConfigurationError, InvalidArgumentError
from shared.images import decode_square

CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class OwnPictures:
    """Row i says `captions[i]` and `labels[i]` of `pixels[picture[i]]`; several rows may be of one picture."""

    pixels: NDArray[np.uint8]
    """(P, side, side, 3), RGB, padded to a square with white; it lies on disk."""
    picture: NDArray[np.int64]
    """(N,) indices into `pixels`."""
    entries: tuple[Entry, ...]
    """(N,) what was said; each has a language."""
    digests: tuple[bytes, ...]
    """(N,) SHA-256 of each row's picture file."""
    skipped: tuple[Skipped, ...]

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """(N,)"""
        return tuple(entry.caption for entry in self.entries)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(N,)"""
        return tuple(entry.label for entry in self.entries)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """(N,)"""
        return tuple(entry.language for entry in self.entries)

    def without(self, reasons: Mapping[int, str]) -> OwnPictures:
        """The same less some rows, which are skipped for these reasons. Raises ConfigurationError when none is left."""
        kept = [row for row in range(len(self.entries)) if row not in reasons]
        refused = (_skipped(self.entries[row], reason) for row, reason in reasons.items())
        skipped = (*self.skipped, *refused)
        if not kept:
            raise ConfigurationError(f"there is nothing to train on{_told(skipped)}")
        return OwnPictures(
            pixels=self.pixels,
            picture=self.picture[kept],
            entries=tuple(self.entries[row] for row in kept),
            digests=tuple(self.digests[row] for row in kept),
            skipped=skipped,
        )

    def held_out(self, share: float, among: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
        """True for validation: about `share` of the pictures, those of the lowest hashes, and at least one.

        The hash is of the file's bytes: copies of one picture fall on one side, and new pictures move no other.

        Args:
            among: the rows that are asked about; all N of them if absent.
        """
        digests = self.digests if among is None else [self.digests[row] for row in among]
        places = np.array([int.from_bytes(digest[:8], "big") / 2**64 for digest in digests])
        return np.asarray(places <= max(share, places.min())) if share > 0 else np.zeros(len(places), dtype=np.bool_)

    def folds(self, count: int) -> NDArray[np.int64]:
        """(N,) the fold of each row, 0 to `count` - 1: equal parts of each label, copies of a picture together."""
        fold: dict[bytes, int] = {}
        for label in sorted(set(self.labels)):
            known = {digest for digest, each in zip(self.digests, self.labels, strict=True) if each == label}
            for place, digest in enumerate(sorted(known - fold.keys()), start=len(fold)):
                fold[digest] = place % count
        return np.array([fold[digest] for digest in self.digests])

    def fingerprint(self) -> str:
        """A hash of everything that training reads: of pictures, captions, labels and languages, in order."""
        rows = zip(self.digests, self.captions, self.labels, self.languages, strict=True)
        return hashlib.sha256("\n".join(repr(row) for row in rows).encode()).hexdigest()[:16]


def read_own_pictures(data: Path, side: int, *, needs: str, language: str) -> OwnPictures:
    """Reads and decodes everything at `side` pixels.

    Args:
        needs: `caption` or `label`: what an entry must have.
        language: of entries that name none.

    Raises ConfigurationError when `data` cannot be read, or nothing in it can be used.
    """
    skipped: list[Skipped] = []
    usable = _usable(read_entries(data), needs, skipped)
    pixels, places, rows, digests = _decode(usable, side, skipped)
    if not rows:
        raise ConfigurationError(f"{data}: has nothing to train on{_told(skipped)}")
    return OwnPictures(
        pixels=pixels,
        picture=np.array(places, dtype=np.int64),
        entries=tuple(row if row.language else replace(row, language=language) for row in rows),
        digests=tuple(digests),
        skipped=tuple(skipped),
    )


def write_skipped(skipped: Iterable[Skipped], file: Path) -> None:
    """Lists what was skipped as CSV: place, image and reason."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="", errors="surrogateescape") as stream:
        writer = csv.writer(stream)
        writer.writerow(("place", "image", "reason"))
        writer.writerows((one.place, one.image, one.reason) for one in skipped)


def _usable(entries: Iterable[Entry | Skipped], needs: str, skipped: list[Skipped]) -> Iterable[Entry]:
    for entry in entries:
        if isinstance(entry, Skipped):
            skipped.append(entry)
        elif not getattr(entry, needs):
            skipped.append(_skipped(entry, f"has no {needs}"))
        else:
            yield entry


def _decode(
    entries: Iterable[Entry], side: int, skipped: list[Skipped]
) -> tuple[NDArray[np.uint8], list[int], list[Entry], list[bytes]]:
    """The pixels of each distinct picture, and for each row that has one its index, its entry and its digest."""
    known: dict[PictureFile, tuple[int, bytes] | str] = {}
    places, rows, digests = [], [], []
    count = 0
    # Neither memory nor a folder of the user's has to hold the pixels: the file is gone with the process.
    with tempfile.TemporaryFile() as file, ThreadPoolExecutor(available_cpus()) as threads:
        remaining = iter(entries)
        while chunk := list(islice(remaining, CHUNK)):
            new = list(dict.fromkeys(entry.picture for entry in chunk if entry.picture not in known))
            for picture, decoded in zip(new, threads.map(lambda each: _read(each, side), new), strict=True):
                if isinstance(decoded, str):
                    known[picture] = decoded
                    continue
                file.write(decoded[0].tobytes())
                known[picture] = count, decoded[1]
                count += 1
            for entry in chunk:
                found = known[entry.picture]
                if isinstance(found, str):
                    skipped.append(_skipped(entry, found))
                    continue
                places.append(found[0])
                digests.append(found[1])
                rows.append(entry)
        file.flush()
        shape = (count, side, side, 3)
        pixels = np.memmap(file, np.uint8, "r", shape=shape) if count else np.empty(shape, np.uint8)
    return pixels, places, rows, digests


def _read(picture: PictureFile, side: int) -> tuple[NDArray[np.uint8], bytes] | str:
    """The pixels and the file's SHA-256, or why there are none."""
    try:
        data = picture.read()
        return decode_square(data, side), hashlib.sha256(data).digest()
    except (InvalidArgumentError, ValueError) as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _skipped(entry: Entry, reason: str) -> Skipped:
    return Skipped(place=entry.place, image=entry.picture.name, reason=reason)


def _told(skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return ": it is empty"
    reason, count = Counter(one.reason for one in skipped).most_common(1)[0]
    return f": all {len(skipped)} entries are skipped, {count} since: {reason}"
