"""`diptych text-to-image`: prompts in, picture files out, with a manifest of many and a sheet of all."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.client import AsyncDiptych
from gateway.client.results import SUFFIXES, Picture
from gateway.command_line.bulk import Bulk
from gateway.command_line.console import ExitCode, show
from gateway.command_line.json_lines import FailedList, JsonLines
from gateway.command_line.pictures import (
    ENDINGS,
    SHEET,
    make_folder,
    models_entry,
    words_of,
    write_picture,
    write_sheet,
)
from shared.errors import ConfigurationError

MANIFEST = "pictures.jsonl"
FAILED = "failed.jsonl"
SHEET_COLUMNS = 6


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How to paint, and where to."""

    number: int = 1
    seed: int | None = None
    candidates: int = 0
    format: str | None = None
    """None: as the file is named, else PNG."""
    quality: int = 0
    embed_prompt: bool = True
    output: Path = Path()
    sheet: bool = False
    concurrency: int = 4
    resume: bool = False

    @property
    def single(self) -> bool:
        """Whether the output is one file."""
        return self.output.suffix.lower() in SUFFIXES and not self.output.is_dir()

    @property
    def coding(self) -> str:
        """`png`, `jpeg` or `webp`."""
        named = SUFFIXES.get(self.output.suffix.lower()) if self.single else None
        return self.format or named or "png"

    def parameters(self) -> dict[str, Any]:
        """What a picture depends on besides its prompt."""
        return {
            "number": self.number,
            "seed": self.seed,
            "candidates": self.candidates,
            "format": self.coding,
            "quality": self.quality,
        }

    def prompt_entry(self, prompt: str) -> dict[str, str]:
        """What names a prompt in a list; its hash, where prompts are kept out of files."""
        if self.embed_prompt:
            return {"prompt": prompt}
        return {"prompt_sha256": hashlib.sha256(prompt.encode("utf-8", "surrogateescape")).hexdigest()}

    def check(self, prompts: Sequence[str]) -> None:
        """Raises ConfigurationError where options contradict each other."""
        if not prompts:
            raise ConfigurationError("nothing to paint; name prompts, or a file with one a line: --prompts FILE")
        if self.single and len(prompts) * self.number > 1:
            told = f"{self.output} is one file for {len(prompts) * self.number} pictures; name a folder"
            raise ConfigurationError(told)
        if self.single and (self.sheet or self.resume):
            option = "--sheet" if self.sheet else "--resume"
            raise ConfigurationError(f"{option} goes with a folder; {self.output} is one file")
        named = SUFFIXES.get(self.output.suffix.lower()) if self.single else None
        if self.format and named not in (None, self.format):
            raise ConfigurationError(f"{self.output} is named as {named}, and --format is {self.format}; say one")
        if self.sheet and self.coding != "png":
            raise ConfigurationError(f"--sheet is made of PNG pictures, and these would be {self.coding}")


@dataclass(frozen=True, kw_only=True)
class Order:
    """A prompt, and the beginning of its files' names."""

    prompt: str
    words: str
    place: int
    """Among the prompts: the same one may come twice."""


async def text_to_image(diptych: AsyncDiptych, prompts: Sequence[str], wish: Wish) -> ExitCode:
    """Paints `wish.number` pictures a prompt and prints the name of each file.

    Several prompts into a folder leave a manifest there, by which `wish.resume` leaves out what is painted.

    Raises:
        ConfigurationError: options contradict each other, or the output cannot be written.
        StoppedError, CallError: the gateway is gone, or refuses everything.
    """
    wish.check(prompts)
    studio = _Studio(diptych, prompts, wish)
    async with diptych:
        return await studio.run(listed=not wish.single and (len(prompts) > 1 or wish.resume))


class _Studio:
    def __init__(self, diptych: AsyncDiptych, prompts: Sequence[str], wish: Wish) -> None:
        self._diptych = diptych
        self._wish = wish
        self._orders = _orders(prompts, wish)
        self._manifest: JsonLines | None = None
        self._painted: dict[Path, str] = {}
        """Files of this run and of the manifest, with the key of their prompt."""
        self._rows: dict[str, list[Path]] = defaultdict(list)
        """Files by key of prompt, for the sheet."""

    async def run(self, *, listed: bool) -> ExitCode:
        wish = self._wish
        folder = wish.output.parent if wish.single else wish.output
        make_folder(folder)
        again = "the same command goes on" if wish.resume else "the same command with --resume goes on"
        with ExitStack() as stack:
            if listed:
                self._manifest = stack.enter_context(JsonLines(folder / MANIFEST, self._seen))
            waiting = self._missing() if wish.resume else self._orders
            bulk = Bulk[Order, Order, list[Picture]](
                ask=self._paint,
                load=lambda order: order,
                take=self._take,
                entry=lambda order: wish.prompt_entry(order.prompt),
                fields=("prompt",),
                noun="prompt",
                failed=FailedList(folder / FAILED, stale=listed),
                go_on=f"{again} where it stopped",
            )
            code = await bulk.run(
                [[order] for order in waiting],
                concurrency=wish.concurrency,
                before=len(self._orders) - len(waiting),
            )
        if wish.sheet:
            self._write_sheet(folder / SHEET)
        return code

    async def _paint(self, orders: Sequence[Order]) -> list[list[Picture]]:
        [order] = orders
        wish = self._wish
        painted = await self._diptych.text_to_image(
            order.prompt,
            seed=wish.seed,
            count=wish.number,
            candidates=wish.candidates,
            format=wish.coding,
            quality=wish.quality,
            embed_prompt=wish.embed_prompt,
        )
        return [painted]

    def _take(self, order: Order, painted: list[Picture]) -> str:
        entry = self._wish.prompt_entry(order.prompt)
        key = json.dumps(entry)
        told, records = [], []
        for picture in painted:
            path = self._path(order, picture, key)
            write_picture(path, picture.data)
            self._rows[key].append(path)
            near = "" if picture.similarity is None else f"  similarity {picture.similarity:.3f}"
            told.append(f"{path}  seed {picture.seed}{near}")
            records.append(
                {
                    **entry,
                    "seed": picture.seed,
                    "file": path.name,
                    "similarity": picture.similarity,
                    "models": models_entry(picture.stages),
                    "parameters": self._wish.parameters(),
                }
            )
        if self._manifest is not None:
            self._manifest.write(*records)
        return "\n".join(told)

    def _path(self, order: Order, picture: Picture, key: str) -> Path:
        """The picture's file; numbered where another prompt has taken it, which may differ only in its punctuation."""
        if self._wish.single:
            return self._wish.output
        first = self._wish.output / f"{order.words}-{picture.seed}{ENDINGS[picture.format]}"
        path, number = first, 1
        while self._painted.get(path, key) != key:
            number += 1
            path = first.with_stem(f"{first.stem}-{number}")
        self._painted[path] = key
        return path

    def _seen(self, record: dict[str, Any]) -> str | None:
        """The key of a line of the manifest; None where its picture is gone or was another wish."""
        entry = {name: record[name] for name in ("prompt", "prompt_sha256") if name in record}
        key, path = json.dumps(entry), self._wish.output / str(record.get("file"))
        self._painted[path] = key
        if record.get("parameters") != self._wish.parameters() or not path.is_file():
            return None
        if self._wish.resume:
            self._rows[key].append(path)
        return key

    def _missing(self) -> list[Order]:
        assert self._manifest is not None
        done = self._manifest.done
        missing = []
        for order in self._orders:
            key = json.dumps(self._wish.prompt_entry(order.prompt))
            if done[key] >= self._wish.number:
                done[key] -= self._wish.number
            else:
                missing.append(order)
        return missing

    def _write_sheet(self, path: Path) -> None:
        """A row a prompt where each has several pictures; else as many in a row as look well."""
        keys = dict.fromkeys(json.dumps(self._wish.prompt_entry(order.prompt)) for order in self._orders)
        rows = [list(dict.fromkeys(self._rows[key])) for key in keys if self._rows[key]]
        if all(len(row) == 1 for row in rows):
            flat = [each for row in rows for each in row]
            rows = [flat[start : start + SHEET_COLUMNS] for start in range(0, len(flat), SHEET_COLUMNS)]
        if rows:
            write_sheet(rows, path)
            show(f"{path}  all on one sheet")


def _orders(prompts: Sequence[str], wish: Wish) -> list[Order]:
    """Prompts with different beginnings for their files' names, the same in every run."""
    words: dict[str, str] = {}
    taken: set[str] = set()
    for prompt in dict.fromkeys(prompts):
        first = words_of(prompt) if wish.embed_prompt else "picture"
        free, number = first, 1
        while free in taken:
            number += 1
            free = f"{first}-{number}"
        taken.add(free)
        words[prompt] = free
    return [Order(prompt=prompt, words=words[prompt], place=place) for place, prompt in enumerate(prompts)]
