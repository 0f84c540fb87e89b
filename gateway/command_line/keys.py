"""`diptych key`: makes keys for callers of a gateway, and shows whose a file has; only a new key is ever shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from gateway.access.keys import SCOPES, Key, hash_of, new_key, parse_keys, read_content, told_entry
from gateway.client.files import write_whole
from gateway.command_line.console import cell, errors_told, say, show, show_table

FILE_VARIABLE = "DIPTYCH_KEYS_FILE"
COLUMNS = ("name", "shows", "scopes", "expires", "calls/s", "pictures/s", "at once", "priority")


def commands() -> typer.Typer:
    """The sub-commands of `diptych key`."""
    cli = typer.Typer(help="Make and list keys for callers of a gateway.", no_args_is_help=True)
    cli.command("new")(_new)
    cli.command("list")(_list)
    return cli


def _new(
    name: Annotated[str, typer.Argument(help="Whose it is: letters, digits, dots, dashes; callers are told it.")],
    file: Annotated[
        Path | None,
        typer.Option(
            envvar=FILE_VARIABLE, dir_okay=False, help="The gateway's file of keys, to add it to; made if absent."
        ),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may call: generate, describe or encode; repeatable. All if absent."),
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="No key, but the name in the certificate that the caller shows (mTLS).")
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="When it ends, in UTC.")
    ] = None,
    calls_per_second: Annotated[float | None, typer.Option(help="Calls a second, in the long run.")] = None,
    calls_burst: Annotated[
        float | None, typer.Option(help="Calls at once after a pause; a second's if absent.")
    ] = None,
    pictures_per_second: Annotated[
        float | None, typer.Option(help="Pictures a second, painted or looked at, in the long run.")
    ] = None,
    pictures_burst: Annotated[
        float | None, typer.Option(help="Pictures at once after a pause; a second's if absent.")
    ] = None,
    concurrent_calls: Annotated[int | None, typer.Option(help="Calls under way at once, streams among them.")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="Its calls give way to interactive ones.")] = False,
) -> None:
    """Make a key. It is shown this once; the file has its hash alone."""
    secret = new_key()
    entry: dict[str, Any] = {
        "name": name,
        "sha256": None if identity is not None else hash_of(secret),
        "identity": identity,
        "scopes": list(scope if scope is not None else SCOPES),
        "expires": None if expires is None else expires.replace(tzinfo=UTC),
        "calls_per_second": calls_per_second,
        "calls_burst": calls_burst,
        "pictures_per_second": pictures_per_second,
        "pictures_burst": pictures_burst,
        "concurrent_calls": concurrent_calls,
        "priority": "batch" if batch else None,
    }
    with errors_told():
        told = told_entry(entry)
        parse_keys(told.encode(), Path("the new key"))
        if file is not None:
            _add(told, file)
    if file is None:
        show(told)
        say("add the lines above to the gateway's file of keys")
    else:
        say(f"{name} is in {file}; a running gateway takes it in a moment")
    if identity is None:
        say("the key, which is shown this once:")
        show(secret)


def _add(told: str, file: Path) -> None:
    before = read_content(file) if file.exists() else b""
    gap = b"\n" if before and not before.endswith(b"\n\n") else b""
    after = before + gap + told.encode()
    parse_keys(before, file)
    parse_keys(after, file)
    write_whole(file, after)


def _list(
    file: Annotated[Path, typer.Argument(envvar=FILE_VARIABLE, help="The gateway's file of keys.")],
) -> None:
    """Show who has keys, and what for."""
    with errors_told():
        keys = parse_keys(read_content(file), file).keys
    show_table(_table(keys, datetime.now(UTC)))


def _table(keys: Sequence[Key], now: datetime) -> Table:
    table = Table(*COLUMNS, box=SIMPLE_HEAD)
    for key in keys:
        over = key.expires is not None and key.expires <= now
        table.add_row(
            cell(key.name),
            cell(f"certificate {key.identity}" if key.identity is not None else "key"),
            cell(", ".join(key.scopes)),
            cell("" if key.expires is None else f"{key.expires:%Y-%m-%d %H:%M %Z}", "red" if over else ""),
            _rate(key.calls_per_second, key.calls_burst),
            _rate(key.pictures_per_second, key.pictures_burst),
            str(key.concurrent_calls or ""),
            key.priority,
        )
    return table


def _rate(rate: float | None, burst: float | None) -> str:
    if rate is None:
        return ""
    return f"{rate:g}" if burst is None else f"{rate:g}, burst {burst:g}"
