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
from gateway.client.calls import SEEDS
from gateway.client.results import NOT_PAINTED, SUFFIXES, Picture
from gateway.command_line.bulk import Bulk
from gateway.command_line.console import ExitCode, show
from gateway.command_line.json_lines import STANDARD_OUTPUT, FailedList, JsonLines
from gateway.command_line.pictures import (
    ENDINGS,
    SHEET,
    made_folder,
    models_entry,
    words_of,
    write_picture,
    write_sheet,
)
from gateway.command_line.resuming import Served, is_of, served_beside
from shared.errors import ConfigurationError

MANIFEST = "pictures.jsonl"
FAILED = "failed.jsonl"
SHEET_COLUMNS = 6
PICTURES_A_CALL = 16
"""What a gateway takes by default; who wants more is told its limit by the gateway, and gets several calls."""
OPTIONS = {"image_count": "--number", "candidates": "--candidates", "quality": "--quality"}
"""By the fields that they fill."""


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
    resume: bool | None = None
    """Whether to leave out what the manifest has; None: yes, where there is one."""
    patience_seconds: float = 0.0

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
        if self.output == STANDARD_OUTPUT:
            raise ConfigurationError(
                f"pictures do not go to standard output; name a folder, or {', '.join(ENDINGS.values())}"
            )
        suffix = self.output.suffix.lower()
        if suffix in NOT_PAINTED and not self.output.is_dir():
            known = ", ".join(ENDINGS.values())
            raise ConfigurationError(f"{self.output}: {suffix[1:]} is not an output format; name a folder, or {known}")
        if 0 < self.candidates < self.number:
            told = f"--candidates is {self.candidates}, and --number {self.number}; none, or at least as many"
            raise ConfigurationError(told)
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

    Several prompts into a folder leave a manifest there, by which the next run leaves out what is painted.

    Raises:
        ConfigurationError: options contradict each other, or the output cannot be written.
        StoppedError, CallError: the gateway is gone, or refuses everything.
    """
    wish.check(prompts)
    studio = _Studio(diptych, prompts, wish)
    async with diptych:
        return await studio.run(listed=not wish.single and (len(prompts) > 1 or wish.resume is True))


class _Studio:
    def __init__(self, diptych: AsyncDiptych, prompts: Sequence[str], wish: Wish) -> None:
        self._diptych = diptych
        self._wish = wish
        self._orders = _orders(prompts, wish)
        self._resumes = wish.resume is not False
        self._manifest: JsonLines | None = None
        self._served: Served = {}
        self._pictures_a_call = 0
        """As the gateway told; 0 until it was asked."""
        self._painted: dict[Path, str] = {}
        """Files of this run and of the manifest, with the key of their prompt."""
        self._rows: dict[str, list[Path]] = defaultdict(list)
        """Files by key of prompt, for the sheet."""

    async def run(self, *, listed: bool) -> ExitCode:
        wish = self._wish
        folder = wish.output.parent if wish.single else wish.output
        again = "the same command" if self._resumes else "the same command without --no-resume"
        with ExitStack() as stack:
            stack.enter_context(made_folder(folder))
            waiting = self._orders
            if listed:
                self._served = await served_beside(self._diptych, folder / MANIFEST)
                self._manifest = stack.enter_context(JsonLines(folder / MANIFEST, self._seen, unique="file"))
                waiting = self._missing(self._manifest) if self._resumes else self._orders
            bulk = Bulk[Order, Order, list[Picture]](
                ask=self._paint,
                load=lambda order: order,
                take=self._take,
                entry=lambda order: wish.prompt_entry(order.prompt),
                fields=("prompt",),
                options=OPTIONS,
                noun="prompt",
                failed=FailedList(folder / FAILED) if listed else None,
                go_on=f"{again} goes on where it stopped",
                anew="--no-resume paints them again",
                patience_seconds=wish.patience_seconds,
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
        painted: list[Picture] = []
        while len(painted) < wish.number:
            painted += await self._diptych.text_to_image(
                order.prompt,
                seed=None if wish.seed is None else (wish.seed + len(painted)) % SEEDS,
                count=min(await self._most_a_call(), wish.number - len(painted)),
                candidates=wish.candidates,
                format=wish.coding,
                quality=wish.quality,
                embed_prompt=wish.embed_prompt,
            )
        return [painted]

    async def _most_a_call(self) -> int:
        """All, where they may fit into one; candidates are compared with each other, and so cannot be split."""
        if self._wish.number <= PICTURES_A_CALL or self._wish.candidates:
            return self._wish.number
        self._pictures_a_call = self._pictures_a_call or (await self._diptych.capabilities()).limits.images
        return self._pictures_a_call

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
        """The key of a line of the manifest; None where its picture is gone, or was another wish or of other models."""
        entry = {name: record[name] for name in ("prompt", "prompt_sha256") if name in record}
        key, path = json.dumps(entry), self._wish.output / str(record.get("file"))
        self._painted[path] = key
        if record.get("parameters") != self._wish.parameters() or not path.is_file() or not is_of(record, self._served):
            return None
        if self._resumes:
            self._rows[key].append(path)
        return key

    def _missing(self, manifest: JsonLines) -> list[Order]:
        done = manifest.done
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
    """Prompts with different beginnings for their files' names, the same in every run.

    Names without the prompt's words say which number is which: `prompt-2-seed-7.png`.
    """
    words: dict[str, str] = {}
    taken: dict[str, int] = {}
    """The last number of each beginning."""
    several = dict.fromkeys(prompts)
    for place, prompt in enumerate(several, 1):
        unnamed = f"prompt-{place}-seed" if len(several) > 1 else "picture"
        first = words_of(prompt) if wish.embed_prompt else unnamed
        free, number = first, taken.get(first, 1)
        while free in taken:
            number += 1
            free = f"{first}-{number}"
        taken[first], taken[free] = number, taken.get(free, 1)
        words[prompt] = free
    return [Order(prompt=prompt, words=words[prompt], place=place) for place, prompt in enumerate(prompts)]
