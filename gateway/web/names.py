"""The names that the playground answers to: another name for its address is another site's."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from shared.exposure import is_loopback

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a request's Host may be.

    With DNS rebinding a page of another site could call this server under that site's name. It cannot do so under
    an address, which nobody's name server makes up.
    """

    known: frozenset[str]
    """In lower case, IPv6 in brackets."""
    addresses: bool
    """Whether every IP address is taken as well, since the server listens on more than loopback."""

    def __contains__(self, host: str) -> bool:
        """Whether a Host header, with or without a port, is one of them."""
        end = host.find("]") + 1 if host.startswith("[") else host.find(":")
        name = (host if end <= 0 else host[:end]).lower()
        return name in self.known or (self.addresses and _address(name.strip("[]")) is not None)

    def __str__(self) -> str:
        return ", ".join([*sorted(self.known), *(["any IP address"] if self.addresses else [])])


def names_for(host: str, further: frozenset[str] = frozenset()) -> Names:
    """The names to answer to when listening on `host`: loopback's, `host` itself, and further ones."""
    address = _address(host)
    own = host.lower() if address is None else f"[{address}]" if address.version == 6 else str(address)
    return Names(known=LOOPBACK_NAMES | {own} | further, addresses=not is_loopback(host))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
