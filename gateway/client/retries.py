"""Whether and when a call to the gateway is tried again, and what its errors are called; one place for both clients."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import grpc

from shared.codes import Code, Reason
from shared.errors import (
    CallError,
    DeadlineExceededError,
    DiptychError,
    OverloadedError,
    UnavailableError,
    UnimplementedError,
)
from shared.rpc import metadata
from shared.rpc.health import short_reason
from shared.rpc.status import from_rpc_error

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
JITTER = 0.5
"""Part of a pause that chance decides, so that callers who failed together do not come back together."""
UNREACHABLE = ("failed to connect", "DNS resolution failed", "errors resolving")
"""How gRPC begins to say that nobody is there."""


OWN_LIMITS = (Reason.RATE_LIMITED, Reason.CONCURRENCY_LIMITED)
"""Of a caller's key, whatever the gateway has to do."""
HTTP_1 = "failed parsing http/2"
"""In what gRPC says of a server that speaks HTTP/1.1, as the playground's does to it."""
CLOSED = "Socket closed"
"""In what gRPC says of a server that accepted the connection and then ended it."""
TOO_LARGE = "message larger than max"
"""In what gRPC says of a message over a limit of its own."""


class ClientClosedError(DiptychError):
    """A call by a client that was closed."""

    def __init__(self) -> None:
        super().__init__("this client is closed; make another one")


class GatewayUnreachableError(UnavailableError):
    """Nothing answers at the address."""


class NotAGatewayError(UnimplementedError):
    """What answers at the address is another program, or a gateway of another version."""


class Attempts:
    """The attempts of one call, all within its deadline.

    UNAVAILABLE is tried again after a pause that doubles; RESOURCE_EXHAUSTED after the time that it came with. Every
    call of the gateway is safe to repeat. To wait for a limit of one's own key is no failure: it is done as often as
    the deadline lets, unless there are to be no retries at all.

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
        self._failed += error.reason not in OWN_LIMITS or not self._retries
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
        if HTTP_1 in message.lower():
            return NotAGatewayError(
                f"{address} is not a gRPC port: what answers there speaks HTTP, as a playground does"
            )
        reason = (
            "it ended the connection; it may want TLS, or a certificate" if CLOSED in message else short_reason(error)
        )
        told = f"no gateway answers at {address} ({reason})"
        return GatewayUnreachableError(told, reason=Reason.GATEWAY_UNREACHABLE)
    if isinstance(found, UnimplementedError):
        return NotAGatewayError(f"what answers at {address} is not a gateway, or one of another version ({message})")
    if isinstance(found, OverloadedError) and TOO_LARGE in message:
        found.args = (f"more bytes in one call than are taken; send fewer or smaller pictures a call ({message})",)
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
