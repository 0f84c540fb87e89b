"""By whose certificate a call of the playground's port came; handed on beside ASGI, which has no word for it."""

from __future__ import annotations

from contextvars import ContextVar

from gateway.web.asgi import Scope

STATE = "identity"
"""In a scope's `state`."""

_current: ContextVar[str] = ContextVar("diptych_identity", default="")


def enter_identity(scope: Scope) -> None:
    """Makes the caller of this scope that of the task's call."""
    _current.set(scope.get("state", {}).get(STATE, ""))


def current_identity() -> str:
    """The caller's name; empty without a certificate."""
    return _current.get()
