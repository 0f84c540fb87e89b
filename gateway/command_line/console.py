"""How the command line ends: exit codes, errors as one line that says what to do next, Ctrl-C and SIGTERM."""

from __future__ import annotations

import asyncio
import enum
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.client.retries import GatewayUnreachableError
from gateway.command_line.printable import printable
from gateway.command_line.processes import ProcessFailedError
from shared.codes import Code, Reason
from shared.errors import CallError, ConfigurationError, DiptychError, OverloadedError


class ExitCode(enum.IntEnum):
    """What the process says to the shell."""

    OK = 0
    FAILED = 1
    """Something of ours broke, or a server could not be kept running."""
    USAGE = 2
    """An option, an argument, a file or a setting is wrong; so is the address of something that is no gateway."""
    PARTLY = 3
    """Some of several inputs failed and are listed, or a picture came out different."""
    REFUSED = 4
    """The gateway refused the request; the message names field, value and limit."""
    BUSY = 5
    """The servers are at capacity; try again later."""
    TIMEOUT = 6
    """No answer in time."""
    UNAVAILABLE = 7
    """No gateway answers, or a service behind it is down."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM."""


PLAIN_COLUMNS = 160

EXIT_CODES: dict[Code, ExitCode] = {
    Code.INVALID_ARGUMENT: ExitCode.REFUSED,
    Code.FAILED_PRECONDITION: ExitCode.REFUSED,
    Code.PERMISSION_DENIED: ExitCode.REFUSED,
    Code.UNAUTHENTICATED: ExitCode.REFUSED,
    Code.RESOURCE_EXHAUSTED: ExitCode.BUSY,
    Code.DEADLINE_EXCEEDED: ExitCode.TIMEOUT,
    Code.UNAVAILABLE: ExitCode.UNAVAILABLE,
    Code.UNIMPLEMENTED: ExitCode.USAGE,
}
"""By status code; FAILED for all others."""

HINTS: dict[Code, str] = {
    Code.UNAVAILABLE: "`diptych status` shows what is up",
    Code.DEADLINE_EXCEEDED: "--timeout allows more time",
    Code.UNAUTHENTICATED: "say who you are with --key or DIPTYCH_KEY",
    Code.PERMISSION_DENIED: "the key of --key or DIPTYCH_KEY may not do this; ask who gave it to you",
    Code.UNIMPLEMENTED: "say with --address where the gateway is",
}
REASON_HINTS: dict[Reason, str] = {
    Reason.SPACE_NOT_SERVED: "`diptych capabilities` names those that are",
    **{
        reason: reason.remedy
        for reason in (
            Reason.IMAGE_UNREADABLE,
            Reason.IMAGE_DAMAGED,
            Reason.IMAGE_TOO_LARGE,
            Reason.KEY_UNKNOWN,
            Reason.KEY_EXPIRED,
            Reason.MODEL_OUTPUT_INVALID,
            Reason.DEFECT,
        )
    },
}
"""What to do next where the message does not say it; by reason first, then by code."""


class StoppedError(DiptychError):
    """A command ended because of `cause`, which `told` tells together with what it meant here."""

    def __init__(self, cause: CallError, told: str) -> None:
        super().__init__(told)
        self.cause = cause


def run(main: Coroutine[Any, Any, ExitCode]) -> NoReturn:
    """Runs a command to its exit code; Ctrl-C, SIGTERM and SIGHUP cancel it, so that its `finally` blocks run."""
    with errors_told():
        code = asyncio.run(_interruptible(main))
    if code is ExitCode.INTERRUPTED:
        say("interrupted")
    raise typer.Exit(code)


@contextmanager
def errors_told() -> Iterator[None]:
    """Ends the command where an error comes out; what the operating system refused is one of use, whatever it was."""
    try:
        yield
    except DiptychError as error:
        fail(error)
    except BrokenPipeError:  # nobody reads on, which typer passes over
        raise
    except OSError as error:
        _settle_output()
        name = "" if error.filename is None else f"cannot use {os.fsdecode(error.filename)}: "
        fail(ConfigurationError(f"{name}{error.strerror or error}"))


def _settle_output() -> None:
    """Gives standard output up where it takes no more, so that the end of the process does not try again."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(error: DiptychError) -> NoReturn:
    """Ends the command with an error, as one line that says what to do next."""
    say(f"error: {one_line(error)}", style="red")
    raise typer.Exit(exit_code(error))


def say(line: str, *, style: str | None = None) -> None:
    """A line on standard error, as it is but for what a terminal would obey."""
    Console(stderr=True, soft_wrap=True).print(printable(line), style=style, highlight=False, markup=False)


def show(line: str) -> None:
    """A line on standard output, likewise; above a progress bar where one stands there."""
    with _standard_output():
        sys.stdout.write(f"{printable(line)}\n")  # typer.echo would go behind the back of rich
        sys.stdout.flush()


def show_table(table: Table) -> None:
    """A table on standard output."""
    with _standard_output():
        output().print(table)


@contextmanager
def _standard_output() -> Iterator[None]:
    """Gives an error of the operating system the name of what it is about."""
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def cell(text: str, style: str = "") -> Text:
    """A text for a table, as it is but for what a terminal would obey."""
    return Text(printable(text), style)


def output() -> Console:
    """Standard output; where it is no terminal, wide enough for a table's rows to stay whole."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_COLUMNS)
    return console


async def _interruptible(main: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main)
    before = signal.getsignal(signal.SIGINT)
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return ExitCode.INTERRUPTED
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
        signal.signal(signal.SIGINT, before)


def exit_code(error: DiptychError) -> ExitCode:
    """The exit code of an error."""
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    if isinstance(error, StoppedError):
        return exit_code(error.cause)
    return EXIT_CODES.get(getattr(error, "code", Code.UNKNOWN), ExitCode.FAILED)


def one_line(error: DiptychError) -> str:
    """The error and what to do next."""
    told = " ".join(str(error).split())
    hint = _hint(error)
    return f"{told}; {hint}" if hint else told


def _hint(error: DiptychError) -> str:
    if isinstance(error, GatewayUnreachableError):
        return "start one with `diptych up`, or say where it is with --address"
    if isinstance(error, OverloadedError) and error.retry_after_seconds:
        return f"try again in {error.retry_after_seconds:.1g} s"
    if isinstance(error, OverloadedError):  # without a reason it is the message that is too large, now and later
        return "try again later" if error.reason is not None else ""
    if isinstance(error, ProcessFailedError | StoppedError) or not isinstance(error, CallError):
        return ""
    by_reason = REASON_HINTS.get(error.reason, "") if error.reason is not None else ""
    return by_reason or HINTS.get(error.code, "")
