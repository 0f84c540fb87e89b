"""One life of a model process: started, asked, killed or closed; it knows nothing of what is asked.

It answers one message after another. The next may be sent while it is busy: then it need not wait for the front end's
event loop, which has the answers to a whole batch to send just when the model is free.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any, Self

from shared.inference import messages

_STREAM_BYTES = 4 * 1024 * 1024
"""Of answers that are read before the socket is told to pause; asyncio's 64 KiB would pause within most batches."""
_CLOSE_SECONDS = 5.0
"""From the closed socket to the kill."""


class LostError(Exception):
    """The process is dead, or as good as; the message is a one-line reason."""


class NeverReadError(LostError):
    """The process was lost before it came to this message."""


class ModelProcess:
    """One life of the model process."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().run_in_executor(None, process.wait)
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self.pid = process.pid
        self.lost: str | None = None
        """The one-line reason why it is dead, or as good as."""

    @classmethod
    async def spawn(cls) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            # Not by the event loop: uvloop forks, and a fork of a process with gRPC's threads may crash before it
            # comes to exec. This vforks, which takes a millisecond or two.
            process = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, "-m", "shared.inference.worker_process", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # standard output belongs to the command that serves
                pass_fds=[theirs.fileno()],
                # Ctrl-C reaches the whole process group, also a child that has not come to ignore it yet.
                start_new_session=True,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_STREAM_BYTES)
        return cls(process, reader, writer)

    async def ask(self, message: object, timeout_seconds: float) -> Any:
        """The answer to a message, in the order of the messages.

        Whatever interrupts the exchange also ends the process, since its answer would meet the next question.

        Args:
            message: to the process.
            timeout_seconds: from when the process can begin with it.

        Raises:
            LostError: the process is dead, or as good as.
        """
        frame = messages.encode(message)
        with suppress(OSError, RuntimeError):  # a socket that is closed, or so uvloop says: the answer fails, too
            self._writer.writelines(frame)
        try:
            async with self._turn:
                if self.lost is not None:
                    raise NeverReadError(self.lost)
                return messages.decode(await self._answer(timeout_seconds))
        except asyncio.CancelledError:
            self.kill("the model process was stopped in the middle of a batch")
            raise

    async def _answer(self, timeout_seconds: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_seconds):
                (size,) = messages.HEADER.unpack(await self._reader.readexactly(messages.HEADER.size))
                return await self._reader.readexactly(size)
        except TimeoutError:
            self.kill(f"the model process hung for {timeout_seconds:g} s")
        except (EOFError, OSError, RuntimeError):
            await self.close()
            self.lost = await self.ended()
        raise LostError(self.lost)

    async def ended(self) -> str:
        """Waits for its end; a one-line reason."""
        code = await asyncio.shield(self._exit)
        return self.lost or f"the model process ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}"

    def kill(self, reason: str) -> None:
        """Ends it at once."""
        self.lost = self.lost or reason
        with suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()

    async def close(self) -> None:
        """Asks it to end by closing its socket, then makes it."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await asyncio.shield(self._exit)
        except TimeoutError:
            self.kill("the model process did not end when asked to")
            await asyncio.shield(self._exit)
