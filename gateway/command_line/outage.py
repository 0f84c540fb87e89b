"""How long a run of many inputs waits for a gateway that went away: it may only be starting anew."""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.codes import Reason
from shared.errors import UnavailableError

LONGEST_SECONDS = 30.0
PAUSE_SECONDS = 0.3


class Outage:
    """The time without an answer, from the first call that found nobody to the next that is answered.

    Args:
        patience_seconds: how long it may last.
        tell: shows what is waited for; empty when it is over.
        clock: seconds that never go back.
    """

    def __init__(
        self, patience_seconds: float, tell: Callable[[str], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience_seconds = patience_seconds
        self._tell = tell
        self._clock = clock
        self._since: float | None = None

    def pause_seconds(self, error: UnavailableError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            UnavailableError: `error` itself, when there is none: it lasts too long, or the input may be what does it.
        """
        if error.reason is Reason.MODEL_LOST or self._patience_seconds <= 0:
            raise error
        if self._since is None:
            self._since = self._clock()
            self._tell(f"{error}; waiting for it, up to {self._patience_seconds:g} s")
        if self._clock() + PAUSE_SECONDS > self._since + self._patience_seconds:
            raise error
        return PAUSE_SECONDS

    def end(self) -> None:
        """Notes an answer."""
        if self._since is not None:
            self._since = None
            self._tell("")


def patience_seconds(timeout_seconds: float, retries: int) -> float:
    """What `--timeout` and `--retries` leave of it: who wants no retries does not want to wait either."""
    return min(LONGEST_SECONDS, timeout_seconds) if retries else 0.0
