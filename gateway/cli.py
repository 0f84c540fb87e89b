"""The `diptych` command: its sub-commands, and those that other packages add by entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import typer

from gateway import demo as demonstration
from gateway import pictures, up
from gateway import status as health_report
from gateway.console import fail, run
from gateway.settings import DEFAULT_PORT
from shared.errors import ConfigurationError, DiptychError

EXTENSIONS = "diptych.commands"
"""Entry points of this group become sub-commands; each is a `typer.Typer`."""
DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_PORT}"

Address = Annotated[str, typer.Option(envvar="DIPTYCH_ADDRESS", help="host:port of the gateway.")]
Timeout = Annotated[float, typer.Option(min=0.001, help="Seconds to wait for an answer.")]
Device = Annotated[str | None, typer.Option(help="Device of the models: auto, cpu, cuda or cuda:N (DIPTYCH_DEVICE).")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16 (DIPTYCH_PRECISION).")]
Threads = Annotated[int | None, typer.Option(min=0, help="CPU threads of each model, 0 for all (DIPTYCH_THREADS).")]
Models = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder with model directories of yours, named text, classification, generation, captioning.",
    ),
]
PictureFiles = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True, metavar="FILE...")]


def build() -> typer.Typer:
    """The command with all its sub-commands. A sub-command of another package is imported only when it is run."""
    cli = typer.Typer(
        name="diptych",
        help="Text becomes pictures, pictures become text, on your own machines.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    cli.command("up")(_up)
    cli.command("text-to-image")(_text_to_image)
    cli.command("image-to-text")(_image_to_text)
    cli.command("status")(_status)
    cli.command("demo")(_demo)
    for entry in sorted(entry_points(group=EXTENSIONS), key=lambda each: each.name):
        _add_extension(cli, entry)
    return cli


def app() -> None:
    """Entry point of the `diptych` script."""
    build()(prog_name="diptych")


def _up(
    port: Annotated[
        int, typer.Option(min=0, max=65000, help="The gateway's port; the services' start 10 above. 0: free ones.")
    ] = DEFAULT_PORT,
    log_directory: Annotated[
        Path | None, typer.Option(help="Folder for a log file a server; a new one if absent.")
    ] = None,
    models: Models = None,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
) -> None:
    """Run all of Diptych on this machine until Ctrl-C."""
    environment = up.model_environment(device, precision, threads)
    run(up.up(port, log_directory=log_directory, environment=environment, models=models))


def _text_to_image(
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT...", help="What to paint; quote each prompt.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Pictures a prompt.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**64 - 1, help="First seed, for the same pictures again.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a .png file for one picture.")] = Path(),
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 60.0,
) -> None:
    """Paint pictures of texts."""
    run(pictures.text_to_image(prompts, number, seed, output, address, timeout))


def _image_to_text(
    files: PictureFiles,
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    labels: Annotated[int, typer.Option(min=1, help="Labels a picture.")] = 5,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 60.0,
) -> None:
    """Describe picture files in words."""
    run(pictures.image_to_text(files, language, labels, address, timeout))


def _status(
    addresses: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOST:PORT]...", help="Servers to ask; those of `diptych up` if none."),
    ] = None,
) -> None:
    """Show which servers serve, and with which model."""
    run(health_report.status(addresses or []))


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


def _add_extension(cli: typer.Typer, entry: EntryPoint) -> None:
    @cli.command(
        entry.name,
        help=f"Added by {entry.value}; `diptych {entry.name} --help` says more.",
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )
    def extension(context: typer.Context) -> None:
        try:
            command: typer.Typer = entry.load()
        except ImportError as error:
            extras = f"diptych[{','.join(entry.extras) or 'services,train'}]"
            fail(ConfigurationError(f"`diptych {entry.name}` cannot run: {error}; pip install '{extras}'"))
        try:
            command(args=context.args, prog_name=context.command_path)
        except DiptychError as error:
            fail(error)
