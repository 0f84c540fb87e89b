"""The `diptych` command: its sub-commands, and those that other packages add by entry points."""

from __future__ import annotations

import signal
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.command_line import commands, keys, up
from gateway.command_line import demo as demonstration
from gateway.command_line.console import errors_told, fail, run
from gateway.command_line.options import Device, Models, Precision, Threads
from gateway.settings import DEFAULT_PORT
from shared.errors import ConfigurationError

EXTENSIONS = "diptych.commands"
"""Entry points of this group become sub-commands; each is a `typer.Typer`."""


def build() -> typer.Typer:
    """The command with all its sub-commands. A sub-command of another package is imported only when it is run."""
    cli = typer.Typer(
        name="diptych",
        help="Text becomes pictures, pictures become text, on your own machines.",
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    cli.command("up")(_up)
    cli.command("demo")(_demo)
    cli.command("text-to-image")(commands.text_to_image)
    cli.command("image-to-text")(commands.image_to_text)
    cli.command("classify")(commands.classify)
    cli.command("encode")(commands.encode)
    cli.command("replay")(commands.replay)
    cli.command("status")(commands.status)
    cli.command("capabilities")(commands.capabilities)
    cli.add_typer(keys.commands(), name="key")
    for entry in sorted(entry_points(group=EXTENSIONS), key=lambda each: each.name):
        _add_extension(cli, entry)
    return cli


class _Commands(TyperGroup):
    """The commands, where those of other packages are imported for what they say of themselves, in the help alone."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # typer names their types in private
        for entry in entry_points(group=EXTENSIONS):
            command = self.commands[entry.name]
            try:
                command.help = f"{entry.load().info.help} Needs the extras {_extras(entry)}."
            except ImportError:
                command.hidden = True
        super().format_help(ctx, formatter)


def _up(
    port: Annotated[
        int, typer.Option(min=0, max=65000, help="The gateway's port; the services' start 10 above. 0: free ones.")
    ] = DEFAULT_PORT,
    log_directory: Annotated[
        Path | None, typer.Option(help="Folder for a log file a server; if absent, one until a clean end.")
    ] = None,
    replicas: Annotated[
        list[str] | None,
        typer.Option(metavar="SERVICE=N", help="Run so many of a service, such as classification=2; repeatable."),
    ] = None,
    models: Models = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Run all of Diptych on this machine until Ctrl-C."""
    environment = up.model_environment(device, precision, threads)
    run(
        up.up(port, log_directory=log_directory, environment=environment, models=models, replicas=tuple(replicas or ()))
    )


def _demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the pictures.")] = Path("out"),
    image: Annotated[
        list[Path] | None, typer.Option(exists=True, dir_okay=False, help="A picture of yours to describe; repeatable.")
    ] = None,
    models: Models = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Start Diptych, paint a dozen prompts, and describe the pictures in English and Chinese."""
    environment = up.model_environment(device, precision, threads)
    run(demonstration.demo(output, image or [], environment=environment, models=models))


def _extras(entry: EntryPoint) -> str:
    return ",".join(entry.extras) or "services,train"


def _add_extension(cli: typer.Typer, entry: EntryPoint) -> None:
    @cli.command(
        entry.name,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def extension(context: typer.Context) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # such a command has its own ways to end
        try:
            with errors_told():
                command: typer.Typer = entry.load()
                command(args=context.args, prog_name=context.command_path)
        except ImportError as error:  # as late as the command itself imports what it works with
            install = f"pip install 'diptych[{_extras(entry)}]'"
            fail(ConfigurationError(f"`diptych {entry.name}` cannot run: {error}; {install}"))
