"""The options about TLS, which every sub-command that connects has: declared once, given to it as one `tls`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.client import Tls

_Flag = Annotated[
    bool, typer.Option("--tls", envvar="DIPTYCH_TLS", help="Speak TLS; so it is with --ca or --certificate as well.")
]
_Ca = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="DIPTYCH_CA",
        show_default=False,
        help="PEM file of CAs that may have signed the server's certificate; public ones if not given.",
    ),
]
_Certificate = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        envvar="DIPTYCH_CERTIFICATE",
        show_default=False,
        help="PEM file with a certificate of yours, where the server asks for one.",
    ),
]
_PrivateKey = Annotated[
    Path | None,
    typer.Option("--private-key", envvar="DIPTYCH_PRIVATE_KEY", show_default=False, help="PEM file with its key."),
]
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "use_tls": (_Flag, False),
    "ca": (_Ca, None),
    "certificate": (_Certificate, None),
    "private_key": (_PrivateKey, None),
}


def with_tls(command: Callable[..., None]) -> Callable[..., None]:
    """A sub-command with the options, for a function that takes what they say as `tls`: `Tls`, or None for plain text.

    typer reads a function's signature, and knows no other way to give several functions the same options.
    """
    given = inspect.signature(command, eval_str=True)
    own = [each for each in given.parameters.values() if each.name != "tls"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _OPTIONS.items()
    ]

    def connected(**arguments: Any) -> None:
        told = {name: arguments.pop(name) for name in _OPTIONS}
        files = Tls(ca=told["ca"], certificate=told["certificate"], private_key=told["private_key"])
        command(**arguments, tls=files if any(told.values()) else None)

    connected.__name__, connected.__doc__ = command.__name__, command.__doc__
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own] + added
    connected.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
    connected.__annotations__ = {each.name: each.annotation for each in parameters}
    return connected
