"""What bodies of calls may take before anything of them is parsed: bytes each, bytes all together, and time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from gateway.web.asgi import Application, Event, Receive, Scope, Send
from gateway.web.connect_errors import connect_error
from gateway.web.identity import current_identity, enter_identity
from shared.codes import Reason
from shared.errors import CallError, DeadlineExceededError, InvalidArgumentError, OverloadedError
from shared.rpc.access import Entries
from shared.rpc.handling import CallHandling

SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"]
PATH = f"/{SERVICE.full_name}/"
"""What every call's path begins with."""
TEXT_BYTES = 1024 * 1024
"""Of a request without pictures, unless the settings allow texts that need more."""
CHARACTER_BYTES = 12
"""Of a character beyond the first plane that JSON writes as two escapes."""
RETRY_SECONDS = 1.0
"""When to come back after the bodies under way took all memory: by then some calls have ended."""


@dataclass(frozen=True, kw_only=True)
class BodyLimits:
    """The bounds of `BoundedBodies`."""

    most_bytes: Mapping[str, int | None]
    """Of one body, by the call's path; None where it is the largest message, which connectrpc sees to."""
    total_bytes: int
    """Of all bodies of calls under way; one that is alone may have more. Who has a key and a body under way gets no
    further ones that leave others less than it has."""
    seconds: float
    """For a body to arrive, all of it."""


def body_limits(settings: GatewaySettings) -> BodyLimits:
    """The bounds that the settings mean."""
    most_texts = max(settings.max_texts, settings.max_labels) * settings.max_prompt_characters * CHARACTER_BYTES
    texts = max(TEXT_BYTES, most_texts)
    return BodyLimits(
        most_bytes={PATH + method.name: None if _takes_pictures(method) else texts for method in SERVICE.methods},
        total_bytes=settings.web_body_bytes,
        seconds=settings.web_read_seconds,
    )


def _takes_pictures(method: MethodDescriptor) -> bool:
    return any(field.type == FieldDescriptor.TYPE_BYTES for field in method.input_type.fields)


class BoundedBodies:
    """Hands calls on, and ends those whose bodies outgrow the limits; these are counted like any call that fails.

    Args:
        calls: the application of the service; it answers a ConnectError that its `receive` raises.
        handling: what every call meets.
        limits: the bounds.
    """

    def __init__(self, calls: Application, handling: CallHandling, limits: BodyLimits) -> None:
        self._calls = calls
        self._handling = handling
        self._limits = limits
        self._held = 0
        self._held_by: dict[str, int] = {}
        """Of those who have a key, by its name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call; the bytes of its body count until it has ended."""
        if scope["path"] not in self._limits.most_bytes:
            await self._calls(scope, receive, send)
            return
        end = asyncio.get_running_loop().time() + self._limits.seconds
        size, complete, caller = 0, False, ""
        enter_identity(scope)

        async def bounded() -> Event:
            nonlocal size, complete, caller
            if complete:  # what else comes tells that the caller left
                return await receive()
            try:
                if not size:  # before anything is read: who calls, and what the head promises
                    caller = self._handling.access.check(_method(scope), _entries(scope), current_identity)
                    self._check(scope["path"], caller, 0, int(dict(scope["headers"]).get(b"content-length", 0)))
                async with asyncio.timeout_at(end):
                    event = await receive()
                more = len(event.get("body", b""))
                self._check(scope["path"], caller, size, more)
            except (TimeoutError, CallError) as error:
                await self._refuse(scope, error)
            size += more
            self._hold(caller, more)
            complete = not event.get("more_body", False)
            return event

        try:
            await self._calls(scope, bounded, send)
        finally:
            self._hold(caller, -size)

    def _hold(self, caller: str, more: int) -> None:
        self._held += more
        if caller and not self._held_by.get(caller, 0) + more:
            self._held_by.pop(caller, None)
        elif caller:
            self._held_by[caller] = self._held_by.get(caller, 0) + more

    def _check(self, path: str, caller: str, size: int, more: int) -> None:
        """Whether a body that has `size` bytes may have `more`."""
        limit = self._limits.most_bytes[path]
        if limit is not None and size + more > limit:
            method = path.removeprefix(PATH)
            message = f"the request has {size + more} bytes or more; the limit of {method} is {limit}"
            raise InvalidArgumentError(message, reason=Reason.REQUEST_TOO_LARGE)
        alone = self._held == size
        if self._held + more > self._limits.total_bytes and not alone:
            limit = self._limits.total_bytes
            message = f"requests under way have {self._held} bytes; the playground's port holds {limit} at once"
            raise OverloadedError(message, reason=Reason.QUEUE_FULL, retry_after_seconds=RETRY_SECONDS)
        own = self._held_by.get(caller, 0)
        # Its calls do not count yet: who has a key would keep all others out by bodies that never end.
        if own > size and own + more > self._limits.total_bytes - self._held - more:
            message = f"key {caller} has {own} bytes of requests under way; of those left, others may have as many"
            raise OverloadedError(message, reason=Reason.CONCURRENCY_LIMITED, retry_after_seconds=RETRY_SECONDS)

    async def _refuse(self, scope: Scope, error: TimeoutError | CallError) -> NoReturn:
        if isinstance(error, TimeoutError):
            message = f"the request did not arrive within {self._limits.seconds:g} s"
            error = DeadlineExceededError(message, reason=Reason.DEADLINE_PASSED)
        try:
            entries = _entries(scope)
            async with self._handling.handle(_method(scope), entries, None, current_identity, system="connect_rpc"):
                raise error
        except CallError as told:
            raise connect_error(told) from told


def _method(scope: Scope) -> str:
    return str(scope["path"]).removeprefix("/")


def _entries(scope: Scope) -> Entries:
    """The headers as metadata."""
    return tuple((key.decode(), value.decode()) for key, value in scope["headers"])
