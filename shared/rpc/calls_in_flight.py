"""How many calls are under way: what a drain waits for, and what tells a caller that it comes too late."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

from shared.codes import Reason
from shared.errors import UnavailableError

_QUIET_SECONDS = 0.1
_MOST_QUIET_WAIT_SECONDS = 2.0


class Answering(Protocol):
    """What grpc.aio's servicer contexts are."""

    def add_done_callback(self, callback: Callable[[object], None], /) -> None:
        """Has `callback` called once the call's status is sent."""


class CallsInFlight:
    """Counts calls until their answer has left, and says when there are none."""

    def __init__(self) -> None:
        self.refusing = False
        """Set while draining: new calls end with UNAVAILABLE."""
        self._last_arrival = -math.inf
        self._handled = 0
        self._unsent = 0
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return self._handled

    def enter(self) -> None:
        """Counts a call until `leave`; raises UnavailableError while draining."""
        self._last_arrival = time.monotonic()
        if self.refusing:
            raise UnavailableError("this server is shutting down", reason=Reason.NOT_SERVING)
        self._handled += 1
        self._none.clear()

    def leave(self) -> None:
        """The call is handled."""
        self._handled -= 1
        self._note()

    def hold(self, context: Answering) -> None:
        """Counts a call that has entered until gRPC has sent its status, which may be after it left."""
        self._unsent += 1
        context.add_done_callback(self._sent)

    def _sent(self, _: object) -> None:
        self._unsent -= 1
        self._note()

    def _note(self) -> None:
        if not self._handled and not self._unsent:
            self._none.set()

    async def wait_none(self) -> None:
        """Returns once no call is under way."""
        await self._none.wait()

    async def wait_quiet(self) -> None:
        """Returns once no call arrives for a moment, or when they do not cease.

        A call that has reached gRPC but not us yet is reset when the server stops, and its caller reads CANCELLED
        where UNAVAILABLE would have sent it to another replica.
        """
        begin = time.monotonic()
        while (now := time.monotonic()) - begin < _MOST_QUIET_WAIT_SECONDS:
            if now - max(begin, self._last_arrival) >= _QUIET_SECONDS:
                return
            await asyncio.sleep(_QUIET_SECONDS / 5)
