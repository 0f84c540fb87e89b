"""`diptych status` and `diptych capabilities`: who serves which model, and what a gateway takes and offers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.client import AsyncDiptych, Tls
from gateway.client.results import Capabilities, Replica
from gateway.client.terms import check_address, check_timeout
from gateway.command_line.console import ExitCode, cell, show, show_table
from gateway.command_line.health import server_status
from gateway.command_line.printable import escaped

DIGEST_CHARACTERS = 12
"""As many as tell two models apart at a glance."""
COLUMNS = ("service", "address", "health", "model", "version", "digest", "space")


async def status(diptych: AsyncDiptych, address: str, *, as_json: bool) -> ExitCode:
    """Prints a row a replica as the gateway sees it; UNAVAILABLE if a service has none that serves.

    Raises:
        CallError: the gateway does not answer.
    """
    async with diptych:
        with Console(stderr=True).status("asking"):
            found = await diptych.capabilities()
    down = [each.name for each in found.services if not any(replica.serving for replica in each.replicas)]
    if as_json:
        _show_json(_status_entry(found, address, down))
    else:
        _show_status(found, address, down)
    return ExitCode.OK if found.spaces and not down else ExitCode.UNAVAILABLE


def _status_entry(found: Capabilities, address: str, down: Sequence[str]) -> dict[str, Any]:
    return {
        "gateway": {"address": address, "version": found.diptych_version},
        "services": [
            {"name": each.name, "replicas": [asdict(one) for one in each.replicas]} for each in found.services
        ],
        "spaces": found.spaces,
        "down": down,
    }


def _show_status(found: Capabilities, address: str, down: Sequence[str]) -> None:
    table = Table(*COLUMNS, "queue", box=SIMPLE_HEAD)
    table.add_row("gateway", cell(address), cell("serving", "green"), "", cell(found.diptych_version), "", "", "")
    for service in found.services:
        for replica in service.replicas:
            table.add_row(cell(service.name), *_replica_cells(replica))
        if not service.replicas:
            table.add_row(cell(service.name), "", cell("no replica is known", "red"), "", "", "", "", "")
    show_table(table)
    if down:
        show(f"down: {', '.join(down)}; calls that need it fail until a replica serves")
    elif not found.spaces:
        show("no joint space is served by all services; start models that were trained together")


async def server_statuses(
    addresses: Sequence[str], *, as_json: bool, timeout_seconds: float, tls: Tls | None = None
) -> ExitCode:
    """Prints a row a server, each asked itself; UNAVAILABLE if one of them does not serve.

    Raises:
        ConfigurationError: an address is none, nothing can be waited for so long, or a file of TLS cannot be used.
    """
    check_timeout(timeout_seconds)
    credentials = None if tls is None else tls.credentials()
    for address in addresses:
        check_address(address)
    with Console(stderr=True).status("asking"):
        found = await asyncio.gather(
            *(server_status(each, timeout_seconds=timeout_seconds, credentials=credentials) for each in addresses)
        )
    if as_json:
        _show_json([asdict(each) for each in found])
    else:
        table = Table("server", *COLUMNS[2:], box=SIMPLE_HEAD)
        for each in found:
            words = (each.model, each.version, each.digest[:DIGEST_CHARACTERS], each.space)
            table.add_row(cell(each.address), _health(each.serving, each.reason), *map(cell, words))
        show_table(table)
    return ExitCode.OK if all(each.serving for each in found) else ExitCode.UNAVAILABLE


async def capabilities(diptych: AsyncDiptych, *, as_json: bool) -> ExitCode:
    """Prints what the gateway takes and offers.

    Raises:
        CallError: the gateway does not answer.
    """
    async with diptych:
        found = await diptych.capabilities()
    if as_json:
        _show_json(asdict(found))
    else:
        show_table(_capabilities_table(found))
    return ExitCode.OK


def _show_json(found: object) -> None:
    show(escaped(json.dumps(found, ensure_ascii=False, indent=2)))


def _replica_cells(replica: Replica) -> tuple[Text | str, ...]:
    model = replica.model
    words = (model.name, model.version, model.digest[:DIGEST_CHARACTERS], model.space) if model else ("", "", "", "")
    queue = f"{replica.queue_seconds:.2f} s, {replica.calls_in_flight} under way" if replica.serving else ""
    health = _health(replica.serving, replica.reason)
    return (cell(replica.address), health, *map(cell, words), queue)


def _health(serving: bool, reason: str) -> Text:
    return cell("serving", "green") if serving else cell(reason or "not serving", "red")


def _capabilities_table(found: Capabilities) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    limits = found.limits
    rows = [
        ("diptych", found.diptych_version),
        ("languages", ", ".join(found.languages)),
        ("pictures in", ", ".join(found.input_formats)),
        ("pictures out", ", ".join(found.output_formats)),
        ("spaces", ", ".join(found.spaces)),
        ("a prompt, text or label", f"{limits.prompt_characters:,} characters"),
        ("texts a call", f"{limits.texts:,}"),
        ("pictures, seeds or candidates a call", f"{limits.images:,}"),
        ("captions a picture", f"{limits.caption_candidates:,}"),
        ("labels of your own a call", f"{limits.labels:,}"),
        (
            "a picture",
            f"{limits.image_bytes:,} bytes, {limits.image_pixels:,} pixels, {limits.image_side:,} a side",
        ),
        ("a message", f"{limits.message_bytes:,} bytes"),
    ]
    for service in found.services:
        for each in service.models:
            told = f"{each.model.name} {each.model.version}, space {each.model.space}, {each.max_items} items a call"
            told += f", {each.image_width} x {each.image_height} pixels" if each.image_width else ""
            heads = {head.name: head.label_count for head in each.heads}
            told += f", labels: {', '.join(f'{name} {count:,}' for name, count in heads.items())}" if heads else ""
            rows.append((service.name, told))
    for name, told in rows:
        table.add_row(cell(name), cell(told))
    return table
