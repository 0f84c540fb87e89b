"""The port to a server under load: what a client is, and how its calls end. Each kind of server brings its own."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Ending(enum.Enum):
    """How a call ended, as its caller sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """The server said that it has too much to do: RESOURCE_EXHAUSTED, UNAVAILABLE, 429, 503."""
    EXPIRED = "expired"
    """The deadline passed, whoever said so."""
    FAILED = "failed"
    """Anything else: of a fair run there are none."""


class Call(Protocol):
    """Makes calls on connections that are open; many at once, in one event loop."""

    async def __call__(self, number: int, seconds: float | None) -> Ending:
        """Makes the call with the input of that number (`reference.inputs`), and looks at the answer.

        It gives up after `seconds`, so that the server can know that nobody waits. It should cost little: requests
        are made of bytes, answers are not parsed further than to see that they are answers. What it raises counts as
        FAILED and is told in the result.
        """


class OpenClient(Protocol):
    """What a `client` reference names: opens connections to a server, in the process that makes the calls."""

    def __call__(self, address: str, **arguments: Any) -> AbstractAsyncContextManager[Call]:
        """Of `address`, `host:port`; `arguments` come from the plan of the load, as JSON."""


def open_client(reference: str, address: str, arguments: Mapping[str, Any]) -> AbstractAsyncContextManager[Call]:
    """The client that `package.module:function` makes."""
    module, _, function = reference.partition(":")
    client: OpenClient = getattr(importlib.import_module(module), function)
    return client(address, **arguments)
