"""What the container stage needs of the machine it runs on, where it keeps its things, and how it runs commands."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
KEPT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "diptych-containers"
"""Images and layers, kept from one run to the next, outside of the checkout, where other tests look at every file."""
RUN = Path("/run/diptych-containers")
"""Sockets and state of what runs now: short, since a socket's path is at most 107 bytes, and empty afterwards."""
PROGRAMS = {
    "dockerd": "docker.io",
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
"""What must be there, and the Debian package that has it."""
SYSTEM_PATH = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ.get('PATH', '')}"


def program(name: str) -> str:
    """A program's path; Debian's own goes before another of the same name."""
    found = shutil.which(name, path=SYSTEM_PATH)
    assert found is not None, f"{name} is not installed"
    return found


def missing() -> str | None:
    """Why containers cannot be tested here, in one line, or None."""
    if os.geteuid() != 0:
        return "dockerd in a network namespace of its own needs root"
    if sys.version_info[:2] != (3, 11) or sys.base_prefix == "/usr":
        return "the stand-in of python:3.11-slim-bookworm is made of a Python 3.11 outside of /usr"
    if platform.machine() != "x86_64":
        return "the pins of TORCH=cpu are those of x86_64"
    lacking = sorted({package for name, package in PROGRAMS.items() if not shutil.which(name, path=SYSTEM_PATH)})
    return f"apt-get install {' '.join(lacking)}" if lacking else None


def require() -> None:
    """Skips where containers cannot be tested; with CI set, fails."""
    reason = missing()
    if reason is not None:
        assert "CI" not in os.environ, reason
        pytest.skip(reason)


def run(command: Sequence[str | Path], *, seconds: float = 60, environment: Mapping[str, str] | None = None) -> str:
    """The standard output of a command that must succeed."""
    result = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PATH": SYSTEM_PATH, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    said = f"{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    assert result.returncode == 0, f"{' '.join(map(str, command))}: exit code {result.returncode}\n{said}"
    return result.stdout
