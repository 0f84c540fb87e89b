"""From what an operator writes to addresses: `dns:///name:port` is looked up, `host:port` stands as it is."""

from __future__ import annotations

import asyncio
import socket

from shared.errors import ConfigurationError

DNS_SCHEME = "dns:///"


def parse_targets(text: str) -> tuple[str, ...]:
    """Splits a comma-separated list of `host:port` and `dns:///name:port`.

    Raises:
        ConfigurationError: the list is empty or an entry has no port.
    """
    targets = tuple(entry for entry in (part.strip() for part in text.split(",")) if entry)
    if not targets:
        raise ConfigurationError("no target given; write host:port or dns:///name:port")
    for target in targets:
        host, _, port = target.removeprefix(DNS_SCHEME).rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ConfigurationError(f"target {target!r} is not host:port or dns:///name:port")
    return targets


async def resolve(target: str) -> list[str]:
    """The addresses behind a target.

    Raises:
        LookupError: the name did not resolve; says why in a few words.
    """
    if not target.startswith(DNS_SCHEME):
        return [target]
    name, _, port = target.removeprefix(DNS_SCHEME).rpartition(":")
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the second is a name that no name can be, such as `a..b`
        raise LookupError((getattr(error, "strerror", None) or str(error)).lower()) from None
    return [
        f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
        for family, _, _, _, address in entries
    ]


def host_of(target: str) -> str:
    """The host that a target names: what a certificate of the servers behind it must be for."""
    return target.removeprefix(DNS_SCHEME).rpartition(":")[0].strip("[]")
