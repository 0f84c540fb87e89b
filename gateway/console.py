"""How the command line ends: exit codes, errors as one line that says what to do next, Ctrl-C and SIGTERM."""

from __future__ import annotations

import asyncio
import enum
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

import typer
from rich.console import Console

from gateway.processes import ProcessFailedError
from gateway.remote import GatewayUnreachableError
from shared.codes import Code
from shared.errors import ConfigurationError, DiptychError, OverloadedError


class ExitCode(enum.IntEnum):
    """What the process says to the shell."""

    OK = 0
    FAILED = 1
    """Something of ours broke, or a server could not be kept running."""
    USAGE = 2
    """An option, an argument, a file or a setting is wrong."""
    UNAVAILABLE = 3
    """No gateway answers, or a service behind it is down."""
    REFUSED = 4
    """The gateway refused the request; the message names field, value and limit."""
    BUSY = 5
    """The servers are at capacity; try again later."""
    TIMEOUT = 6
    """No answer in time."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM."""


PLAIN_COLUMNS = 160

EXIT_CODES: dict[Code, ExitCode] = {
    Code.INVALID_ARGUMENT: ExitCode.REFUSED,
    Code.FAILED_PRECONDITION: ExitCode.REFUSED,
    Code.RESOURCE_EXHAUSTED: ExitCode.BUSY,
    Code.DEADLINE_EXCEEDED: ExitCode.TIMEOUT,
    Code.UNAVAILABLE: ExitCode.UNAVAILABLE,
}
"""By status code; FAILED for all others."""

HINTS: dict[Code, str] = {
    Code.UNAVAILABLE: "`diptych status` shows what is up",
    Code.DEADLINE_EXCEEDED: "--timeout allows more time",
}


def run(main: Coroutine[Any, Any, ExitCode]) -> NoReturn:
    """Runs a command to its exit code; Ctrl-C, SIGTERM and SIGHUP cancel it, so that its `finally` blocks run."""
    try:
        code = asyncio.run(_interruptible(main))
    except DiptychError as error:
        fail(error)
    if code is ExitCode.INTERRUPTED:
        Console(stderr=True).print("interrupted")
    raise typer.Exit(code)


def fail(error: DiptychError) -> NoReturn:
    """Ends the command with an error, as one line that says what to do next."""
    Console(stderr=True, soft_wrap=True).print(f"error: {one_line(error)}", style="red", highlight=False, markup=False)
    raise typer.Exit(exit_code(error))


def output() -> Console:
    """Standard output; where it is no terminal, wide enough for a table's rows to stay whole."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_COLUMNS)
    return console


async def _interruptible(main: Coroutine[Any, Any, ExitCode]) -> ExitCode:
    loop = asyncio.get_running_loop()
    task = loop.create_task(main)
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


def exit_code(error: DiptychError) -> ExitCode:
    """The exit code of an error."""
    if isinstance(error, ConfigurationError):
        return ExitCode.USAGE
    return EXIT_CODES.get(getattr(error, "code", Code.UNKNOWN), ExitCode.FAILED)


def one_line(error: DiptychError) -> str:
    """The error and what to do next."""
    if isinstance(error, GatewayUnreachableError):
        hint = "start one with `diptych up`, or say where it is with --address"
    elif isinstance(error, OverloadedError):
        hint = f"try again in {error.retry_after_seconds:.1g} s" if error.retry_after_seconds else "try again later"
    elif isinstance(error, ProcessFailedError):
        hint = ""
    else:
        hint = HINTS.get(getattr(error, "code", Code.UNKNOWN), "")
    return f"{error}; {hint}" if hint else str(error)
