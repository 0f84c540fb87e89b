"""How pip finds packages on this machine, for builds in containers: its settings as one file, and what they name."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from tests.containers.machine import run

_PATH = re.compile(r"(?:^|\s)(file://)?(/[^\s]+)")


def pip_settings() -> dict[str, str]:
    """What `pip config list` tells, of files and environment, by the name of the option in pip.conf."""
    lines = run([sys.executable, "-m", "pip", "config", "list"]).splitlines()
    told = (line.partition("=") for line in lines)
    # The environment goes last, since it goes before the files.
    ordered = sorted(told, key=lambda each: each[0].startswith(":env:"))
    return {key.rpartition(".")[2]: str(ast.literal_eval(value)) for key, _, value in ordered}


def written(settings: dict[str, str]) -> str:
    """A pip.conf."""
    lines = [f"{name} = {' '.join(value.split())}" for name, value in settings.items()]
    return "\n".join(["[global]", *lines, ""])


def named_paths(settings: dict[str, str]) -> list[Path]:
    """Files and folders of this machine that the settings name, which a build has to see at the same place."""
    found = (place for value in settings.values() for place in _PATH.findall(value))
    # The pages of an index link to files beside it.
    paths = {Path(path).parent if scheme else Path(path) for scheme, path in found}
    return sorted(path for path in paths if path.exists())
