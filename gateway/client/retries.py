"""Whether and when a call to the gateway is tried again, and what its errors are called; one place for both clients."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import grpc

from shared.codes import Code, Reason
from shared.errors import CallError, DeadlineExceededError, OverloadedError, UnavailableError
from shared.rpc import metadata
from shared.rpc.health import short_reason
from shared.rpc.status import from_rpc_error

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
JITTER = 0.5
"""Part of a pause that chance decides, so that callers who failed together do not come back together."""
UNREACHABLE = ("failed to connect", "DNS resolution failed")
"""How gRPC begins to say that nobody is there."""


class GatewayUnreachableError(UnavailableError):
    """Nothing answers at the address."""


class Attempts:
    """The attempts of one call, all within its deadline.

    UNAVAILABLE is tried again after a pause that doubles; RESOURCE_EXHAUSTED after the time that it came with. Every
    call of the gateway is safe to repeat.

    Args:
        timeout_seconds: of the whole call, pauses included.
        retries: how often at most after the first attempt.
        clock: seconds that never go back.
        chance: a number in [0, 1).
    """

    def __init__(
        self,
        timeout_seconds: float,
        retries: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._deadline = clock() + timeout_seconds
        self._retries = retries
        self._clock = clock
        self._chance = chance
        self._failed = 0

    def remaining_seconds(self) -> float:
        """What is left for the next attempt."""
        return max(0.0, self._deadline - self._clock())

    def pause_seconds(self, error: CallError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            CallError: `error` itself, when there is none.
        """
        pause = self._pause(error)
        self._failed += 1
        if pause is None or self._failed > self._retries or pause >= self.remaining_seconds():
            raise error
        return pause

    def _pause(self, error: CallError) -> float | None:
        if isinstance(error, OverloadedError) and error.retry_after_seconds > 0:
            return error.retry_after_seconds * (1 + JITTER * self._chance() / 2)  # never before it was told to come
        if isinstance(error, UnavailableError):
            longest = min(FIRST_PAUSE_SECONDS * 2.0**self._failed, LONGEST_PAUSE_SECONDS)
            return longest * (1 - JITTER * self._chance())
        return None


def translated(error: grpc.RpcError, address: str, timeout_seconds: float) -> CallError:
    """The error of our tree behind one of gRPC's, in words for who called `address`."""
    found = from_rpc_error(error)
    message = str(found)
    if isinstance(found, UnavailableError) and message.startswith(UNREACHABLE):
        return GatewayUnreachableError(f"no gateway answers at {address} ({short_reason(error)})")
    if isinstance(found, DeadlineExceededError) and found.reason is None:
        # Our own clock ran out first: the server said nothing.
        told = f"no answer from {address} within {timeout_seconds:g} s"
        return DeadlineExceededError(told, reason=Reason.DEADLINE_PASSED)
    if found.code in (Code.INTERNAL, Code.UNKNOWN) and (request_id := _request_id(error)):
        found.args = (f"{message} ({metadata.REQUEST_ID} {request_id})",)  # the log has more under it
    return found


def _request_id(error: grpc.RpcError) -> str:
    call: grpc.Call = error  # type: ignore[assignment]  # what raises it is a Call as well
    return next((str(value) for key, value in call.trailing_metadata() or () if key == metadata.REQUEST_ID), "")
