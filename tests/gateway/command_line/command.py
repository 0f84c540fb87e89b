"""The `diptych` command for tests: in this process, or as a process that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from diptych.gateway.v1.gateway_pb2 import GetCapabilitiesRequest
from gateway.command_line import cli
from tests.gateway.fake_gateway import Running, Seen


def diptych(*arguments: object, stdin: bytes | None = None, variables: dict[str, str] | None = None) -> Result:
    """Runs the command to its end."""
    environment: dict[str, str | None] = {"DIPTYCH_ADDRESS": None, "DIPTYCH_KEY": None, **(variables or {})}
    return CliRunner().invoke(cli.build(), [str(each) for each in arguments], input=stdin, env=environment)


def start_diptych(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """Starts the command in a process of its own, which works in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.command_line", *(str(each) for each in arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def work(gateway: Running) -> list[Seen]:
    """The calls that a gateway has seen, less those that asked what it offers."""
    return [call for call in gateway.behaviour.calls if not isinstance(call.request, GetCapabilitiesRequest)]


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
