"""The commands `diptych model inspect` and `diptych model verify`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

model = typer.Typer(no_args_is_help=True, help="Look at model directories and check them.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@model.command("inspect")
def inspect_command(
    directory: Annotated[Path, typer.Argument(help="A model directory.")], as_json: Json = False
) -> None:
    """Show what a model is: name, space, digest, shape, training, metrics, and whose data it learnt from."""
    from services.training.inspection import inspect

    found = inspect(directory)
    table, parameters = dict(found.table), found.parameters
    if as_json:
        typer.echo(json.dumps({**table, "parameters": parameters}, ensure_ascii=False, default=str))  # dates
        return
    shown = Table(box=None, show_header=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    data = table.pop("data", [])
    for key, value in _flat(table):
        shown.add_row(Text(key), Text(value))
    shown.add_row("parameters", f"{parameters:,}")
    for one in data:
        shown.add_row("data", Text(", ".join(f"{key} {value}" for key, value in one.items())))
    Console().print(shown)


@model.command("verify")
def verify_command(
    directories: Annotated[list[Path], typer.Argument(help="Model directories.", metavar="DIR...")],
) -> None:
    """Check hashes, load weights strictly, run each model once; of several, whether they pair."""
    from services.training.inspection import verify

    console = Console()
    verified = verify(directories)
    for one in verified:
        each = one.directory
        line = f"{each.path}: {each.name} {each.version}, {each.task}, answers in {one.milliseconds:.0f} ms"
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    pair = f"all {len(verified)} pair: they are" if len(verified) > 1 else "it is"
    console.print(f"{pair} of space {verified[0].directory.space}", soft_wrap=True, markup=False, highlight=False)


def _flat(table: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)
