"""Many inputs through one gateway: several calls at once, progress, and a bad input that does not stop the others.

Knows neither files nor commands: what is asked, what becomes of an answer, and how an input is called are handed in.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from gateway.command_line.console import ExitCode, StoppedError, one_line, say, show
from gateway.command_line.json_lines import FailedList
from gateway.command_line.outage import Outage
from gateway.command_line.printable import printable
from shared.codes import Code, Reason
from shared.errors import CallError, ConfigurationError, InvalidArgumentError, OverloadedError, UnavailableError

Input = TypeVar("Input", bound=Hashable)
Loaded = TypeVar("Loaded")
Answer = TypeVar("Answer")

SHOWN_FAILURES = 10
"""Lines on the screen where a file has them all."""
LATE_IN_A_ROW = 3
"""So many inputs without an answer in time, or one a worker, and none is expected any more."""
SHOWN_CHARACTERS = 200
"""Of what names an input; a prompt may be a book."""
OF_ONE_INPUT = {Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.DATA_LOSS, Code.OUT_OF_RANGE}
"""Codes that another input may not meet; with all others the rest would fare no better."""


class Bulk(Generic[Input, Loaded, Answer]):
    """One run over inputs.

    Args:
        ask: one call: an answer an input, in order. Raises CallError.
        load: what is sent of an input; runs in a thread. Raises OSError, InvalidArgumentError.
        take: keeps an answer, and returns what is shown of it on standard output, in the order of the inputs.
        entry: what names an input in the list of failures.
        fields: fields of the request that hold inputs: a refusal that names another one is a refusal of them all.
        options: the command's options by the fields that they fill: a refusal speaks of those.
        noun: what one input is: "picture".
        failed: the list of failures; None for the screen alone.
        go_on: how to go on after a stop; empty where all begins anew.
        anew: how to do again what an earlier run did.
        patience_seconds: how long to wait for a gateway that was there and is not.
    """

    def __init__(
        self,
        *,
        ask: Callable[[Sequence[Loaded]], Awaitable[Sequence[Answer]]],
        load: Callable[[Input], Loaded],
        take: Callable[[Input, Answer], str],
        entry: Callable[[Input], dict[str, str]],
        fields: Sequence[str],
        options: Mapping[str, str],
        noun: str,
        failed: FailedList | None,
        go_on: str,
        anew: str,
        patience_seconds: float,
    ) -> None:
        self._ask = ask
        self._load = load
        self._take = take
        self._entry = entry
        self._item = re.compile(rf"\b({'|'.join(fields)})(\[(\d+)\])?$")
        self._options = options
        self._noun = noun
        self._failed = failed
        self._go_on = go_on
        self._anew = anew
        self._outage = Outage(patience_seconds, self._tell_outage)
        self._done = 0
        self._failures: list[str] = []
        self._late = 0
        """Inputs in a row, with no answer between them, that alone were not answered in time."""

    async def run(self, groups: Sequence[Sequence[Input]], *, concurrency: int, before: int = 0) -> ExitCode:
        """Works through groups of inputs, each of them one call.

        Args:
            groups: the inputs.
            concurrency: calls under way at once.
            before: inputs that an earlier run has done, for the count.

        Raises:
            StoppedError: the gateway is gone, or refuses in a way that the other inputs would meet too.
            CallError, ConfigurationError: what the only input met.
        """
        inputs = [each for group in groups for each in group]
        total = len(inputs)
        self._lines = _InOrder(inputs)
        self._single = total == 1 and not before
        try:
            with _progress(total) as self._progress:
                self._task = self._progress.add_task(f"{self._noun}s", total=total)
                await self._run_workers(deque(groups), min(concurrency, len(groups)))
        except CallError as error:
            if self._single:
                raise
            raise StoppedError(error, f"{one_line(error)}; {self._told_stop(total)}") from None
        except asyncio.CancelledError:
            if not self._single:
                say(self._told_stop(total))
            raise
        self._tell_failures(total, before)
        return ExitCode.PARTLY if self._failures else ExitCode.OK

    async def _run_workers(self, waiting: deque[Sequence[Input]], count: int) -> None:
        self._most_late = max(LATE_IN_A_ROW, count)
        workers = [asyncio.create_task(self._work(waiting)) for _ in range(count)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, waiting: deque[Sequence[Input]]) -> None:
        while waiting:
            batch: list[tuple[Input, Loaded]] = []
            for each in waiting.popleft():
                try:
                    batch.append((each, await asyncio.to_thread(self._load, each)))
                except OSError as error:
                    self._fail(each, error, error.strerror or str(error))
                except InvalidArgumentError as error:
                    self._fail(each, error, self._told_alone(error))
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Input, Loaded]]) -> None:
        """Asks for all at once; where one of them is at fault, for the others without it."""
        while batch:
            try:
                answers = await self._ask_patiently([loaded for _, loaded in batch])
            except CallError as error:
                if not self._is_of_one_input(error) or self._is_of_no_use(error, len(batch)):
                    raise
                guilty = 0 if len(batch) == 1 else self._guilty(error, len(batch))
                if guilty is None:
                    for one in batch:
                        await self._answer([one])
                    return
                self._fail(batch.pop(guilty)[0], error, self._told_alone(error))
                continue
            for (each, _), answer in zip(batch, answers, strict=True):
                self._lines.put(each, self._take(each, answer))
                self._done += 1
                self._progress.advance(self._task)
            return

    async def _ask_patiently(self, loaded: Sequence[Loaded]) -> Sequence[Answer]:
        """Asks; waits for a gateway that has answered before and is away."""
        while True:
            try:
                answers = await self._ask(loaded)
            except InvalidArgumentError as error:
                error.args = (_in_options(str(error), self._options),)
                raise
            except UnavailableError as error:
                if not self._done:
                    raise
                await asyncio.sleep(self._outage.pause_seconds(error))
            else:
                self._outage.end()
                self._late = 0
                return answers

    def _tell_outage(self, told: str) -> None:
        if self._progress.disable:
            say(told or "it is back")
        else:
            self._progress.update(self._task, description=printable(told) or f"{self._noun}s")

    def _is_of_one_input(self, error: CallError) -> bool:
        if isinstance(error, InvalidArgumentError):
            named = self._item.match(error.field) if error.field else None
            return error.reason is not Reason.METADATA_INVALID and (not error.field or named is not None)
        if isinstance(error, OverloadedError):  # without a time to come back it is the message that is too large
            return error.retry_after_seconds == 0
        return error.code in OF_ONE_INPUT

    def _is_of_no_use(self, error: CallError, size: int) -> bool:
        """Whether to end for it: a gateway that hangs would cost its timeout for every input."""
        self._late = self._late + (size == 1) if error.code is Code.DEADLINE_EXCEEDED else 0
        return self._late >= self._most_late

    def _guilty(self, error: CallError, size: int) -> int | None:
        """The place of the input that a refusal names; None where it names none."""
        named = self._item.match(error.field) if isinstance(error, InvalidArgumentError) else None
        place = int(named[3]) if named and named[3] else size
        return place if place < size else None

    def _told_alone(self, error: CallError) -> str:
        """The error without the place in a call that only we know of."""
        field = error.field if isinstance(error, InvalidArgumentError) else ""
        told, subject = one_line(error), f"the {self._noun}"
        return told.replace(f"{field}: ", f"{subject} ").replace(field, subject) if field.endswith("]") else told

    def _fail(self, each: Input, error: CallError | OSError, told: str) -> None:
        entry = self._entry(each)
        if self._single:
            raise self._alone(error, f"{_name(entry)}: {told}")
        record: dict[str, Any] = {**entry, "error": told, "reason": "", "field": ""}
        if isinstance(error, CallError):
            record["reason"] = error.reason.name if error.reason is not None else error.code.name
        if isinstance(error, InvalidArgumentError):
            record["field"] = re.sub(r"\[\d+\]", "[0]", error.field)
        if self._failed is not None:
            self._failed.add(record)
        self._failures.append(f"{_name(entry)}: {told}")
        self._lines.put(each, "")
        self._progress.advance(self._task)

    def _alone(self, error: CallError | OSError, told: str) -> Exception:
        """What the command ends with when its only input failed; a place in the call means nothing to who named it."""
        if isinstance(error, OSError):
            return ConfigurationError(told)
        indexed = isinstance(error, InvalidArgumentError) and error.field.endswith("]")
        return StoppedError(error, told) if indexed else error

    def _told_stop(self, total: int) -> str:
        failed = f", {len(self._failures)} failed" if self._failures else ""
        go_on = f"; {self._go_on}" if self._go_on else ""
        return f"{self._done} of {total} {self._noun}s done{failed}{go_on}"

    def _tell_failures(self, total: int, before: int) -> None:
        shown = self._failures[:SHOWN_FAILURES] if self._failed is not None else self._failures
        for line in shown:
            say(f"failed: {line}", style="red")
        if len(self._failures) > len(shown):
            say(f"failed: {len(self._failures) - len(shown)} more", style="red")
        if self._failures:
            listed = f"; listed in {self._failed.path}" if self._failed is not None else ""
            say(f"{len(self._failures)} of {total} {self._noun}s failed{listed}")
        if before:
            say(f"{before} {self._noun}s were done before; {self._anew}")


class _InOrder(Generic[Input]):
    """Shows lines in the order of the inputs, each as soon as those before it are known."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._waiting = deque(inputs)
        self._known: dict[Input, str] = {}

    def put(self, each: Input, lines: str) -> None:
        """What is shown of an input; it may be nothing."""
        self._known[each] = lines
        while self._waiting and self._waiting[0] in self._known:
            if told := self._known.pop(self._waiting.popleft()):
                show(told)


def _progress(total: int) -> Progress:
    """On standard error, where that is a terminal and there is something to wait for."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or total < 2,
        redirect_stdout=sys.stdout.isatty(),  # else what is piped on would land on the screen
    )


class _Rate(ProgressColumn):
    """`12.3/s`."""

    def render(self, task: Task) -> Text:
        """The inputs a second of late."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def _in_options(message: str, options: Mapping[str, str]) -> str:
    """`--number is 17` for `image_count is 17`: the fields of a request mean nothing to who typed options."""
    for field, option in options.items():
        message = re.sub(rf"(?<![-\w]){field}\b(?!\[)", option, message)
    return message


def _name(entry: dict[str, str]) -> str:
    name = next(iter(entry.values()))
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}…"
