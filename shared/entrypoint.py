"""The `main` of every server process: settings from the environment, logs, event loop, exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
import textwrap
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import uvloop
from pydantic import ValidationError

from shared.errors import ConfigurationError
from shared.logs import configure_logs
from shared.settings import ServerSettings, settings_rows

EXIT_FAILED = 1
"""The server stopped because of a fault, such as a model process that dies again and again."""
EXIT_CONFIGURATION = 2
"""The server cannot start as it is configured; starting it again does not help."""

Settings = TypeVar("Settings", bound=ServerSettings)


def run_server(
    program: str, settings_type: type[Settings], serve: Callable[[Settings], Awaitable[str | None]]
) -> NoReturn:
    """Runs `serve` until it ends, and the process with it.

    Args:
        program: how the process is started, such as `python -m services.text`; for `--help`.
        settings_type: read from the environment; there are no flags but `--help`.
        serve: returns None after a clean stop, or the reason of a fault.
    """
    if sys.argv[1:]:
        _print_help(program, settings_type)
        raise SystemExit(0 if sys.argv[1:] in (["--help"], ["-h"]) else EXIT_CONFIGURATION)
    try:
        settings = settings_type()
        configure_logs(settings.log_level, settings.log_format)
        settings.check_exposure()  # the server does as well, when a model has been read in vain
        reason = uvloop.run(_until_stopped(serve(settings)))
    except ValidationError as error:
        _fail(_first_problem(error, settings_type), EXIT_CONFIGURATION)
    except ConfigurationError as error:
        _fail(str(error), EXIT_CONFIGURATION)
    except asyncio.CancelledError:  # SIGTERM before the server took over the signal: nothing is there to drain
        reason = None
    except KeyboardInterrupt:  # before the server took over the signal
        raise SystemExit(130) from None
    if reason is not None:
        _fail(reason, EXIT_FAILED)
    raise SystemExit(0)


async def _until_stopped(result: Awaitable[str | None]) -> str | None:
    task = asyncio.current_task()
    assert task is not None
    # Else a service told to stop while it reads its model would end as if it had crashed.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await result


def _fail(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(code) from None


def _first_problem(error: ValidationError, settings_type: type[ServerSettings]) -> str:
    problem = error.errors()[0]
    prefix = settings_type.model_config.get("env_prefix", "")
    variable = f"{prefix}{'.'.join(str(part) for part in problem['loc'])}".upper()
    found = "" if problem["type"] == "missing" else f" (found {problem['input']!r})"
    return f"{variable}: {problem['msg']}{found}"


def _print_help(program: str, settings_type: type[ServerSettings]) -> None:
    # Plain: a server that never prints a table needs no library for it.
    lines = [f"{program}: settings, from the environment"]
    for variable, default, meaning in settings_rows(settings_type):
        lines += ["", f"{variable}  (default: {default})" if default else variable]
        lines += textwrap.wrap(meaning, width=100, initial_indent="    ", subsequent_indent="    ")
    sys.stdout.write("\n".join([*lines, ""]))
