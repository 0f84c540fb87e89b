"""Declarations of the sub-commands that call a gateway: their arguments and options, and what runs them."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from gateway.client import DEFAULT_ADDRESS, AsyncDiptych, Tls
from gateway.client.terms import RETRIES
from gateway.command_line import console, descriptions
from gateway.command_line import replay as replaying
from gateway.command_line import status as health_report
from gateway.command_line import text_to_image as painting
from gateway.command_line.console import ExitCode
from gateway.command_line.inputs import picture_inputs, text_inputs
from gateway.command_line.options import (
    CONCURRENCY,
    TIMEOUT_SECONDS,
    Address,
    Concurrency,
    Heads,
    Json,
    Key,
    Language,
    Output,
    Pictures,
    Retries,
    Timeout,
)
from gateway.command_line.outage import patience_seconds
from gateway.command_line.tls_options import with_tls
from gateway.settings import quiet_grpc


class Format(enum.StrEnum):
    """File formats of painted pictures."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@with_tls
def text_to_image(
    prompts: Annotated[
        list[str] | None, typer.Argument(metavar="PROMPT...", help="What to paint; quote each; - reads one a line.")
    ] = None,
    prompts_file: Annotated[
        str | None, typer.Option("--prompts", metavar="FILE|-", help="A file with one prompt a line; - reads them.")
    ] = None,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Pictures a prompt.")] = 1,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**64 - 1, help="First seed, for the same pictures again.")
    ] = None,
    candidates: Annotated[
        int, typer.Option(min=0, help="Pictures to paint a prompt, of which the nearest to it are kept.")
    ] = 0,
    picture_format: Annotated[
        Format | None, typer.Option("--format", help="Of files in a folder; png if not said.")
    ] = None,
    quality: Annotated[int, typer.Option(min=0, max=100, help="Of JPEG and WebP, 1 to 100; 0 means 90.")] = 0,
    embed_prompt: Annotated[
        bool,
        typer.Option("--embed-prompt/--no-embed-prompt", help="Whether files hold the prompt, and are named by it."),
    ] = True,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A folder, or a .png, .jpg or .webp file for one picture.")
    ] = Path(),
    sheet: Annotated[bool, typer.Option("--sheet", help="Write one PNG of all pictures as well.")] = False,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            show_default=False,
            help="Whether to leave out what the folder's pictures.jsonl has; so it is where there are several prompts.",
        ),
    ] = None,
    concurrency: Concurrency = CONCURRENCY,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = TIMEOUT_SECONDS,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Paint pictures of texts."""
    wish = painting.Wish(
        number=number,
        seed=seed,
        candidates=candidates,
        format=picture_format.value if picture_format else None,
        quality=quality,
        embed_prompt=embed_prompt,
        output=output,
        sheet=sheet,
        concurrency=concurrency,
        resume=resume,
        patience_seconds=patience_seconds(timeout, retries),
    )
    _run(
        lambda: painting.text_to_image(
            _gateway(address, timeout, retries, key, tls),
            text_inputs(prompts or [], prompts_file, sys.stdin.buffer, noun="prompt"),
            wish,
        )
    )


@with_tls
def image_to_text(
    pictures: Pictures,
    language: Language = "en",
    candidates: Annotated[int, typer.Option(min=1, help="Captions a picture.")] = 1,
    labels: Annotated[int, typer.Option(min=1, help="Labels a picture and head.")] = 5,
    heads: Heads = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**64 - 1, help="Draw the captions, by this seed, the same ones again.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(min=0.05, max=5, show_default=False, help="Draw them, more evenly the higher it is.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=1, show_default=False, help="Draw them from the likeliest words of this share alone."
        ),
    ] = None,
    as_json: Json = False,
    output: Output = None,
    concurrency: Concurrency = CONCURRENCY,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = TIMEOUT_SECONDS,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Describe pictures in words."""
    _run(
        lambda: descriptions.image_to_text(
            _gateway(address, timeout, retries, key, tls),
            picture_inputs(pictures, sys.stdin.buffer),
            language=language,
            candidates=candidates,
            labels=labels,
            heads=descriptions.named_heads(heads),
            sampling={"seed": seed, "temperature": temperature, "top_p": top_p},
            as_json=as_json,
            output=output,
            concurrency=concurrency,
            patience_seconds=patience_seconds(timeout, retries),
        )
    )


@with_tls
def classify(
    pictures: Pictures,
    labels: Annotated[
        str | None, typer.Option(metavar="LABEL,LABEL...", help="Labels of your own; the model's if not given.")
    ] = None,
    language: Language = "en",
    top_k: Annotated[int, typer.Option(min=0, help="Labels a picture and head; 0: 5, or all of your own.")] = 0,
    heads: Heads = None,
    as_json: Json = False,
    output: Output = None,
    concurrency: Concurrency = CONCURRENCY,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = TIMEOUT_SECONDS,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Name what is on pictures."""
    _run(
        lambda: descriptions.classify(
            _gateway(address, timeout, retries, key, tls),
            picture_inputs(pictures, sys.stdin.buffer),
            labels=descriptions.own_labels(labels),
            language=language,
            top_k=top_k,
            heads=descriptions.named_heads(heads),
            as_json=as_json,
            output=output,
            concurrency=concurrency,
            patience_seconds=patience_seconds(timeout, retries),
        )
    )


@with_tls
def encode(
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT...", help="Texts; quote each; - reads one a line.")
    ] = None,
    images: Annotated[
        list[str] | None, typer.Option("--image", metavar="FILE|FOLDER|GLOB", help="Pictures; repeatable.")
    ] = None,
    texts_file: Annotated[
        str | None, typer.Option("--texts", metavar="FILE|-", help="A file with one text a line; - reads them.")
    ] = None,
    output: Output = None,
    concurrency: Concurrency = CONCURRENCY,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = TIMEOUT_SECONDS,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Print texts and pictures as points of the joint space, a JSON line each."""
    _run(
        lambda: descriptions.encode(
            _gateway(address, timeout, retries, key, tls),
            text_inputs(texts or [], texts_file, sys.stdin.buffer, noun="text"),
            picture_inputs(images or [], sys.stdin.buffer),
            output=output,
            concurrency=concurrency,
            patience_seconds=patience_seconds(timeout, retries),
        )
    )


@with_tls
def replay(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|GLOB...", help="PNG files that Diptych painted; a folder stands for those in it."
        ),
    ],
    prompt: Annotated[str | None, typer.Option(help="The prompt, for files that do not hold it.")] = None,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = TIMEOUT_SECONDS,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Paint pictures again from what their files say, and compare the pixels."""
    _run(
        lambda: replaying.replay(
            _gateway(address, timeout, retries, key, tls),
            picture_inputs(files, sys.stdin.buffer, replaying.SUFFIXES),
            prompt=prompt,
        )
    )


@with_tls
def status(
    servers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOST:PORT]...", help="Servers to ask themselves; else the gateway is asked for all."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Show which replicas serve, and with which model."""
    if servers:
        console.run(health_report.server_statuses(servers, as_json=as_json, timeout_seconds=timeout, tls=tls))
    _run(lambda: health_report.status(_gateway(address, timeout, retries, key, tls), address, as_json=as_json))


@with_tls
def capabilities(
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    address: Address = DEFAULT_ADDRESS,
    timeout: Timeout = 10.0,
    key: Key = None,
    retries: Retries = RETRIES,
    tls: Tls | None = None,
) -> None:
    """Show what the gateway takes and offers."""
    _run(lambda: health_report.capabilities(_gateway(address, timeout, retries, key, tls), as_json=as_json))


def _run(main: Callable[[], Coroutine[Any, Any, ExitCode]]) -> NoReturn:
    """Makes a command's coroutine, which may find its arguments wrong, and runs it."""
    with console.errors_told():
        coroutine = main()
    console.run(coroutine)


def _gateway(address: str, timeout: float, retries: int, key: str | None, tls: Tls | None) -> AsyncDiptych:
    quiet_grpc()
    return AsyncDiptych(address, timeout=timeout, retries=retries, key=key, tls=tls)
