"""`diptych status`: which servers serve, and with which model."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.console import ExitCode, output
from gateway.health import server_status
from gateway.local import GATEWAY, HOST, SERVICE_OFFSET
from gateway.settings import DEFAULT_PORT, SERVICES

DIGEST_CHARACTERS = 12
"""As many as tell two models apart at a glance."""


async def status(addresses: Sequence[str]) -> ExitCode:
    """Prints a row a server; UNAVAILABLE if one of them does not serve."""
    servers = {address: address for address in addresses} or _servers_of_up()
    with Console(stderr=True).status("asking"):
        found = await asyncio.gather(*(server_status(address) for address in servers.values()))
    table = Table("server", "address", "health", "model", "version", "digest", "space", box=SIMPLE_HEAD)
    for name, each in zip(servers, found, strict=True):
        health = Text("serving", "green") if each.serving else Text(each.reason, "red")
        digest = each.digest[:DIGEST_CHARACTERS]
        words = (each.model, each.version, digest, each.space)
        table.add_row(name, each.address, health, *(Text(word) for word in words))
    output().print(table)
    return ExitCode.OK if all(each.serving for each in found) else ExitCode.UNAVAILABLE


def _servers_of_up() -> dict[str, str]:
    ports = {GATEWAY: DEFAULT_PORT}
    ports |= {service: DEFAULT_PORT + SERVICE_OFFSET + index for index, service in enumerate(SERVICES)}
    return {name: f"{HOST}:{port}" for name, port in ports.items()}
