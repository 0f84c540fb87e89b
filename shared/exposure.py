"""Whether an address to listen on is one that nobody outside of this machine can reach."""

from __future__ import annotations

import ipaddress

LOOPBACK_NAME = "localhost"


def is_loopback(host: str) -> bool:
    """Whether `host` is `localhost` or an address of 127.0.0.0/8 or ::1; any other name counts as reachable."""
    if host.lower() == LOOPBACK_NAME:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
