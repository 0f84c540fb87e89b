"""On what terms a client calls: whom, how long, how often, with which key; and that all of it can be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import grpc

from gateway.client.retries import Attempts, translated
from shared.errors import CallError, ConfigurationError
from shared.rpc import metadata

DEFAULT_ADDRESS = "127.0.0.1:50051"
RETRIES = 3
LONGEST_SECONDS = 86_400.0
"""A day; gRPC cannot count far beyond, and ends such a call at once."""

ADDRESS = re.compile(r"(dns|unix|ipv4|ipv6):\S+|(\[[\da-fA-F:.%\w]+\]|[^\s:/\[\]]+):\d{1,5}")
"""`host:port`, and the targets that gRPC knows by a scheme."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On what terms a client calls; never shows the key."""

    address: str
    timeout_seconds: float
    retries: int
    metadata: tuple[tuple[str, str], ...] = field(repr=False)

    def attempts(self) -> Attempts:
        """Those of one call, which begins now."""
        return Attempts(self.timeout_seconds, self.retries)

    def error(self, error: grpc.RpcError) -> CallError:
        """The error in our terms."""
        return translated(error, self.address, self.timeout_seconds)


def checked_terms(address: str, timeout: float, retries: int, key: str | None, caller: str) -> Terms:
    """Checked terms.

    Raises:
        ConfigurationError: one of them cannot be.
    """
    check_address(address)
    check_timeout(timeout)
    if retries < 0:
        raise ConfigurationError(f"retries is {retries}; it must be 0 or more")
    entries = []
    for name, value, entry in (
        ("key", key, ("authorization", f"Bearer {key}")),
        ("caller", caller, (metadata.CALLER, caller)),
    ):
        if value and not (value.isascii() and value.isprintable()):
            raise ConfigurationError(f"{name} may hold printable ASCII characters only")  # which others is not told
        if value:
            entries.append(entry)
    return Terms(address=address, timeout_seconds=timeout, retries=retries, metadata=tuple(entries))


def check_timeout(timeout: float) -> None:
    """Raises ConfigurationError where nothing can be waited for so many seconds."""
    if not 0 < timeout <= LONGEST_SECONDS:
        told = f"timeout is {timeout:g}; it must be more than 0 seconds, and at most {LONGEST_SECONDS:g}"
        raise ConfigurationError(told)


def check_address(address: str) -> None:
    """Raises ConfigurationError where nothing can be at such an address."""
    if ADDRESS.fullmatch(address) is None:
        raise ConfigurationError(f"address is {address!r}; it must be host:port, such as {DEFAULT_ADDRESS}")
