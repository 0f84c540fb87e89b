"""The port to whoever decides who may call a server, and how much; knows no key and no transport."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from shared.rpc.context import CallContext

Entries = tuple[tuple[str, str | bytes], ...]
"""A call's metadata, keys in lower case."""
Identity = Callable[[], str]
"""Says by whose certificate a call came, when somebody asks; empty without one."""


def no_identity() -> str:
    """Of a call that came without a certificate."""
    return ""


class Access(Protocol):
    """Who may call what, and how much."""

    def check(self, method: str, entries: Entries, identity: Identity) -> str:
        """Whether the caller may call the method; counts nothing. Returns its name, empty where anybody may call.

        Raises:
            CallError: it may not.
        """

    def admit(
        self, call: CallContext, method: str, entries: Entries, identity: Identity
    ) -> AbstractContextManager[CallContext]:
        """The same, and counts the call while it is in the block, where it goes on as what this gives.

        Raises:
            CallError: it may not, or not now; entering may raise it as well.
        """


class OpenAccess:
    """Of a server that anybody may call who reaches it."""

    def check(self, method: str, entries: Entries, identity: Identity) -> str:
        """Nothing is asked."""
        return ""

    def admit(
        self, call: CallContext, method: str, entries: Entries, identity: Identity
    ) -> AbstractContextManager[CallContext]:
        """As it came."""
        return nullcontext(call)
