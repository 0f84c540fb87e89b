"""Answers about many pictures or texts: lines on the screen, or a file of JSON lines that goes on where it stopped."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway.client import AsyncDiptych
from gateway.command_line.bulk import Bulk
from gateway.command_line.console import ExitCode, say
from gateway.command_line.inputs import PictureInput, TextInput
from gateway.command_line.json_lines import FailedList, JsonLines, json_line
from gateway.command_line.pictures import made_folder
from gateway.command_line.resuming import Served, is_of, served_beside
from shared.errors import InvalidArgumentError

Answer = TypeVar("Answer")
Source = PictureInput | TextInput

PICTURES_A_CALL = 8
"""Half of what a gateway takes by default: little is lost when a run is killed."""
TEXTS_A_CALL = 32
BYTES_A_CALL = 16 * 1024 * 1024
"""A quarter of the largest message that a gateway takes by default."""


class Listing(Generic[Answer]):
    """One command over pictures or texts.

    Args:
        diptych: knows which models serve.
        ask: one call for pictures (bytes) or texts, an answer each.
        record: what a JSON line says of an answer.
        words: what the screen says of it; None where it says JSON lines.
        parameters: what the answers depend on besides input and models: a line in the file counts only with the same.
        options: the command's options by the fields that they fill, for refusals.
        output: a file for JSON lines; None for the screen.
        noun: what one input is.
        patience_seconds: how long to wait for a gateway that was there and is not.
    """

    def __init__(
        self,
        *,
        diptych: AsyncDiptych,
        ask: Callable[[Sequence[Any]], Awaitable[Sequence[Answer]]],
        record: Callable[[Answer], Mapping[str, Any]],
        words: Callable[[Answer], str] | None,
        parameters: Mapping[str, Any],
        options: Mapping[str, str],
        output: Path | None,
        noun: str,
        patience_seconds: float,
    ) -> None:
        self._diptych = diptych
        self._ask = ask
        self._record = record
        self._words = words
        self._parameters = dict(parameters)
        self._options = options
        self._output = output
        self._noun = noun
        self._patience_seconds = patience_seconds
        self._served: Served = {}
        self._sums: dict[str, str] = {}
        """SHA-256 of the pictures that are being asked about, by name."""
        self._described: set[str] = set()
        """Names of the pictures in the file."""

    async def run(self, sources: Sequence[Source], *, concurrency: int) -> ExitCode:
        """Asks for all that the file does not have yet.

        Raises:
            ConfigurationError: the file cannot be used.
            StoppedError, CallError: the gateway is gone, or refuses everything.
        """
        with ExitStack() as stack:
            file = None
            if self._output is not None:
                self._served = await served_beside(self._diptych, self._output)
                stack.enter_context(made_folder(self._output.parent))
                file = stack.enter_context(JsonLines(self._output, self._key))
            waiting = await self._missing(sources, file.done if file is not None else Counter())
            bulk = Bulk[Source, str | bytes, Answer](
                ask=self._ask,
                load=self._load,
                take=lambda source, answer: self._take(source, answer, file),
                entry=lambda source: source.entry(),
                fields=("images", "texts"),
                options=self._options,
                noun=self._noun,
                failed=failed_list(self._output),
                go_on="the same command goes on where it stopped" if file is not None else "",
                anew="another --output does them anew",
                patience_seconds=self._patience_seconds,
            )
            code = await bulk.run(
                list(_groups(waiting, concurrency)), concurrency=concurrency, before=len(sources) - len(waiting)
            )
        if self._output is not None:
            say(f"written: {self._output}")
        return code

    def _load(self, source: Source) -> str | bytes:
        if isinstance(source, TextInput):
            return source.text
        data = source.read()
        self._sums[source.name] = hashlib.sha256(data).hexdigest()
        return data

    def _take(self, source: Source, answer: Answer, file: JsonLines | None) -> str:
        line: dict[str, Any] = dict(source.entry())
        if isinstance(source, PictureInput):
            line["sha256"] = self._sums.pop(source.name)
        line |= {**self._record(answer), "parameters": self._parameters}
        if file is not None:
            file.write(line)
            return ""
        return f"{next(iter(source.entry().values()))}: {self._words(answer)}" if self._words else json_line(line)

    def _key(self, record: dict[str, Any]) -> str | None:
        entry: dict[str, str] = {name: record[name] for name in ("file", "sha256", "text") if name in record}
        if "parameters" not in record or not is_of(record, self._served):
            return None
        self._described.add(entry.get("file", ""))
        return _key(entry, record["parameters"])

    async def _missing(self, sources: Sequence[Source], done: Counter[str]) -> list[Source]:
        """What the file does not have; pictures that it names are read, for they may have changed since."""
        left = Counter(done)
        missing = []
        for source in sources:
            entry = source.entry()
            if isinstance(source, PictureInput) and source.name in self._described:
                entry["sha256"] = await asyncio.to_thread(_sha256, source)
            key = _key(entry, self._parameters)
            if left[key] > 0:
                left[key] -= 1
            else:
                missing.append(source)
        return missing


def failed_list(output: Path | None) -> FailedList | None:
    """Where failures are listed: beside the file; nobody who wants none finds one."""
    if output is None:
        return None
    return FailedList(output.with_name(f"{output.name.removesuffix('.jsonl')}.failed.jsonl"))


def _key(entry: Mapping[str, str], parameters: Mapping[str, Any]) -> str:
    return json.dumps([entry, parameters], sort_keys=True)


def _sha256(source: PictureInput) -> str:
    """Of the picture; empty where it cannot be read, which is told when it is asked about."""
    try:
        return hashlib.sha256(source.read()).hexdigest()
    except (OSError, InvalidArgumentError):
        return ""


def _groups(sources: Sequence[Source], concurrency: int) -> Iterator[list[Source]]:
    """Inputs of one kind in order, as many together as one call takes; few enough that every worker has some."""
    group: list[Source] = []
    size = 0
    share = -(-len(sources) // concurrency)
    for source in sources:
        more = source.size() if isinstance(source, PictureInput) else 0
        most = min(PICTURES_A_CALL if isinstance(source, PictureInput) else TEXTS_A_CALL, share)
        if group and (len(group) >= most or size + more > BYTES_A_CALL or type(group[0]) is not type(source)):
            yield group
            group, size = [], 0
        group.append(source)
        size += more
    if group:
        yield group
