"""The check that every call of a gateway with keys meets: whose it is, what that one may call, and how much."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType

from gateway.access.keys import Key, KeyRing, Scope
from gateway.access.limits import Account, Clock, enter_account
from gateway.metrics import AccessMetrics
from gateway.ports import SERVICE
from shared.codes import Reason
from shared.errors import PermissionDeniedError, UnauthenticatedError
from shared.rpc.access import Entries, Identity
from shared.rpc.context import CallContext

SCOPE_OF: Mapping[str, Scope | None] = {
    f"{SERVICE}/TextToImage": "generate",
    f"{SERVICE}/StreamTextToImage": "generate",
    f"{SERVICE}/ImageToText": "describe",
    f"{SERVICE}/ClassifyImage": "describe",
    f"{SERVICE}/EncodeText": "encode",
    f"{SERVICE}/EncodeImage": "encode",
    f"{SERVICE}/GetCapabilities": None,
}
"""The scope that a method needs; None of one that every caller with a key may call."""
HEADER = "authorization"
_BEARER = "bearer"


class KeyAccess:
    """Lets calls in by a key in the header `authorization`, or by the certificate of those who send none.

    It keeps a few numbers for each key of the file, and nothing of callers without one.

    Args:
        ring: the keys.
        metrics: calls that were throttled.
        clock: for limits.
        wall_clock: seconds since 1970, for what expires.
    """

    def __init__(
        self, ring: KeyRing, metrics: AccessMetrics, *, clock: Clock = time.monotonic, wall_clock: Clock = time.time
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._wall_clock = wall_clock
        self._accounts: dict[str, Account] = {}
        self.use(ring)

    def use(self, ring: KeyRing) -> None:
        """These keys from now on. Calls under way go on; of a key that stays, what it has used counts on."""
        before = self._accounts
        self._ring = ring
        self._accounts = {}
        for key in ring.keys:
            if (account := before.get(key.name)) is None:
                account = Account(key, self._metrics, self._clock)
            else:
                account.change(key)
            self._accounts[key.name] = account

    def check(self, method: str, entries: Entries, identity: Identity) -> str:
        """Whether the caller may call the method, and the name of its key; counts nothing.

        Raises:
            UnauthenticatedError: it shows no key, or one that is not known, or not any more.
            PermissionDeniedError: its key is for other methods.
        """
        return self._owner(method, entries, identity).name

    def admit(self, call: CallContext, method: str, entries: Entries, identity: Identity) -> Admission:
        """The same, and counts the call while it is in the block; it goes on in the name of its key.

        Raises:
            OverloadedError: the key may not have so many.
        """
        key = self._owner(method, entries, identity)
        return Admission(self._accounts[key.name], call)

    def _owner(self, method: str, entries: Entries, identity: Identity) -> Key:
        key = self._shown(entries, identity)
        if key.expires is not None and key.expires.timestamp() <= self._wall_clock():  # told to those who hold it
            message = f"key {key.name} expired on {key.expires:%Y-%m-%d}"
            raise UnauthenticatedError(message, reason=Reason.KEY_EXPIRED)
        needed = SCOPE_OF[method]
        if needed is not None and needed not in key.scopes:
            told = ", ".join(key.scopes) or "none"
            message = f"{method.rpartition('/')[2]} needs the scope {needed}; key {key.name} has {told}"
            raise PermissionDeniedError(message, reason=Reason.SCOPE_MISSING)
        return key

    def _shown(self, entries: Entries, identity: Identity) -> Key:
        value = next((value for key, value in entries if key == HEADER), None)
        if value is None:
            if (key := self._ring.of_identity(identity())) is None:
                message = "this gateway wants a key, or the certificate of somebody it knows"
                raise UnauthenticatedError(message, reason=Reason.KEY_MISSING)
            return key
        scheme, _, shown = value.partition(" ") if isinstance(value, str) else ("", "", "")
        if scheme.lower() != _BEARER:
            raise UnauthenticatedError(f"{HEADER} must be: Bearer KEY", reason=Reason.KEY_MISSING)
        if (key := self._ring.of_key(shown.strip(" "))) is None:
            raise UnauthenticatedError("this gateway does not know the key", reason=Reason.KEY_UNKNOWN)
        return key


class Admission:
    """A call of a key's owner; counts inside of `with`."""

    __slots__ = ("_account", "_call")

    def __init__(self, account: Account, call: CallContext) -> None:
        self._account = account
        self._call = call

    def __enter__(self) -> CallContext:
        self._account.begin()
        enter_account(self._account)
        call, key = self._call, self._account.key
        priority = key.priority if key.priority == "batch" else call.priority
        # Its own word for itself would let it take the share of another.
        return replace(call, caller=key.name, priority=priority)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._account.end()
