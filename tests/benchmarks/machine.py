"""Where and on what a result was measured, and how it is kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.effort import Result
from tests.benchmarks.load.generator import REPOSITORY

PACKAGES = ("torch", "grpcio", "protobuf", "uvloop", "numpy", "pillow")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
MEGABYTE = 1e6


def stamp(program: str) -> Result:
    """How every result begins."""
    return {"program": program, "at": now(), "commit": commit(), "machine": machine(), "versions": versions()}


def keep(result: Mapping[str, object], output: Path | None) -> None:
    """Prints it as one line of JSON, the last of every run, and writes it to a file where one is given."""
    text = json.dumps(result) + "\n"
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, "utf-8")
    sys.stdout.write(text)


def machine() -> Result:
    """The machine, as far as it bears on speed."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MEGABYTE
    return {
        "cpu": facts.get("model name", platform.processor()),
        "flags": [flag for flag in FLAGS if flag in facts.get("flags", "").split()],
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": round(memory),
        "kernel": platform.release(),
    }


def versions() -> Result:
    """Of Diptych, Python, and the packages that bear on speed."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def commit() -> str:
    """What is checked out; with a `+` when files that are not the benchmarks' differ from it."""
    found = _git("rev-parse", "--short", "HEAD")
    return found + ("+" if _git("status", "--porcelain", "--", "gateway", "services", "shared") else "")


def now() -> str:
    """Date and time, UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout.strip()
