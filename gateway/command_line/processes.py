"""One server as a child process: started, watched, started again when it dies, stopped; knows no service."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gateway.settings import child_environment
from shared.entrypoint import EXIT_CONFIGURATION
from shared.errors import DiptychError

QUICK_DEATH_SECONDS = 10.0
"""A process that lives shorter than this has died quickly."""
MAX_QUICK_DEATHS = 4
FIRST_BACKOFF_SECONDS = 0.5
OUTPUT_SECONDS = 1.0
"""Time for the last lines of a process that has ended."""
STOP_SECONDS = 15.0
"""Time for a drain; after that a process is killed."""


class ProcessFailedError(DiptychError):
    """A server that starting again does not help; the message ends with its own last line."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run: a module, tied to our life by `gateway.command_line.tether`, and where its output goes."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str | None]
    log_file: Path


Tell = Callable[[str, str], None]
"""Takes a server's name and a line about it."""


class ServerProcess:
    """A child process with its output.

    Args:
        program: what to run.
        on_line: gets each line that the process writes, besides the log file.
        on_event: gets what happens to the process: that it died, that it had to be killed.
    """

    def __init__(self, program: Program, *, on_line: Tell, on_event: Tell) -> None:
        self.program = program
        self.restarts = 0
        self._on_line = on_line
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._last_line = ""

    @property
    def pid(self) -> int | None:
        """The running process, or None between two."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def supervise(self) -> None:
        """Keeps the process running until `stop`.

        Raises:
            ProcessFailedError: it is configured wrongly, or dies again and again.
        """
        loop = asyncio.get_running_loop()
        quick_deaths = 0
        while not self._stopping:
            begin = loop.time()
            code = await self._run_once()
            if self._stopping:
                return
            if code == EXIT_CONFIGURATION:
                self._give_up(f"{self.program.name} cannot start")
            quick_deaths = quick_deaths + 1 if loop.time() - begin < QUICK_DEATH_SECONDS else 1
            if quick_deaths >= MAX_QUICK_DEATHS:
                self._give_up(f"{self.program.name} died {quick_deaths} times in a row, at last with {_told(code)}")
            backoff = FIRST_BACKOFF_SECONDS * 2 ** (quick_deaths - 1)
            self._on_event(self.program.name, f"died with {_told(code)}; starting it again in {backoff:g} s")
            await asyncio.sleep(backoff)
            self.restarts += 1

    def _give_up(self, what: str) -> NoReturn:
        raise ProcessFailedError(f"{what}: {self._last_line or 'no output'} (log: {self.program.log_file})")

    async def _run_once(self) -> int:
        program = self.program
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.command_line.tether", program.module, *program.arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=child_environment({"PYTHONUNBUFFERED": "1", **program.environment}),
            # A session of its own: Ctrl-C at the terminal comes to us alone, and we stop the servers in order.
            start_new_session=True,
        )
        if self._stopping:  # `stop` came while it was being started
            self.kill()
        assert process.stdout is not None
        copying = asyncio.create_task(self._copy_output(process.stdout))
        try:
            code = await process.wait()
            # A child of the child may hold the pipe open; what it still says is not waited for.
            await asyncio.wait([copying], timeout=OUTPUT_SECONDS)
            return code
        except asyncio.CancelledError:
            self.kill()
            await process.wait()
            raise
        finally:
            copying.cancel()

    async def _copy_output(self, output: asyncio.StreamReader) -> None:
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        rest = ""
        with self.program.log_file.open("ab", buffering=0) as log:
            while chunk := await output.read(65536):
                log.write(chunk)
                *lines, rest = (rest + decode(chunk)).split("\n")
                for line in lines:
                    self._last_line = line.strip().removeprefix("error: ") or self._last_line
                    self._on_line(self.program.name, line)

    async def stop(self) -> None:
        """Asks the process to drain, and kills it if that takes too long; `supervise` then returns."""
        self._stopping = True
        if self._process is None or self.pid is None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._on_event(self.program.name, f"did not stop within {STOP_SECONDS:g} s; killed")
        finally:
            self.kill()

    def kill(self) -> None:
        """Ends the process, and what it started, at once."""
        self._stopping = True
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def _told(code: int) -> str:
    """`exit code 1`, or `SIGKILL` for a process ended by a signal."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
