"""`make fuzz`: every target under atheris, two at a time; prints a table, and last one JSON object."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.robustness.report import Report
from tests.fuzz.targets import CPU_SECONDS, EXTRA_BYTES, TARGETS

REPOSITORY = Path(__file__).parents[2]
PICTURES_PART = 0.4
"""Of all inputs; the servers share the rest."""
HANG_SECONDS = 60
"""Of the clock, for one input: what takes no CPU time and does not end."""
LINES = 40
"""Of a target's output, told when it ends otherwise than it should."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one target's process told."""

    target: str
    asked: int
    ended: int
    """Its exit code."""
    inputs: int
    seconds: float
    branches: int
    """Of Python code, that any input took."""
    peak_mb: int
    output: str

    @property
    def good(self) -> bool:
        """All inputs were run, and none did what it must not."""
        return self.ended == 0 and self.inputs >= self.asked


def run(target: str, inputs: int, seed: int, findings: Path, program: Sequence[str]) -> Run:
    """One target in a process of its own."""
    begin = time.monotonic()
    flags = [f"-runs={inputs}", f"-seed={seed}", f"-timeout={HANG_SECONDS}", "-print_final_stats=1"]
    done = subprocess.run(
        [sys.executable, *program, target, *flags, f"-artifact_prefix={findings}/{target}-"],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'protos'}:{REPOSITORY}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    output = done.stdout
    return Run(
        target=target,
        asked=inputs,
        ended=done.returncode,
        inputs=_last(r"stat::number_of_executed_units: +(\d+)", output),
        seconds=round(time.monotonic() - begin, 1),
        branches=_last(r" cov: (\d+)", output),
        peak_mb=_last(r"stat::peak_rss_mb: +(\d+)", output),
        output=output,
    )


def _last(pattern: str, text: str) -> int:
    return int(([0, *re.findall(pattern, text)])[-1])


def fuzz(
    parts: dict[str, int], *, seed: int, findings: Path, program: Sequence[str] = ("-m", "tests.fuzz.run_target")
) -> Report:
    """Inputs by target."""
    findings.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(min(len(parts), len(os.sched_getaffinity(0)))) as pool:
        runs = list(pool.map(lambda part: run(part[0], part[1], seed, findings, program), parts.items()))
    facts = [{key: value for key, value in vars(each).items() if key != "output"} for each in runs]
    report = Report(
        "fuzz",
        {"seed": seed, "inputs": sum(each.inputs for each in runs), "targets": facts, "bounds": _bounds()},
    )
    for each in runs:
        found = f"{each.inputs} inputs in {each.seconds:g} s, {each.branches} branches, {each.peak_mb} MB at most"
        report.add(each.target, found, f"{each.asked} without a finding", each.good)
        if not each.good:
            tail = "\n".join(each.output.splitlines()[-LINES:])
            sys.stderr.write(f"--- {each.target} ended with {each.ended}; its input is in {findings} ---\n{tail}\n")
    return report


def _bounds() -> dict[str, float]:
    return {"cpu_seconds": CPU_SECONDS, "clock_seconds": HANG_SECONDS, "extra_mb": EXTRA_BYTES >> 20}


def parts_of(inputs: int, only: Sequence[str]) -> dict[str, int]:
    """How many inputs each target gets."""
    servers = len(TARGETS) - 1
    parts = {
        name: round(inputs * (PICTURES_PART if name == "pictures" else (1 - PICTURES_PART) / servers))
        for name in TARGETS
    }
    return {name: inputs // len(only) for name in only} if only else parts


def main(
    inputs: Annotated[int, typer.Option(min=100, help="Of all targets together.")] = 1_000_000,
    only: Annotated[list[str] | None, typer.Option(help=f"A target: {', '.join(TARGETS)}; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Of libFuzzer.")] = 1,
    findings: Annotated[Path, typer.Option(help="Folder for inputs that do what they must not.")] = Path("out/fuzz"),
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Runs and prints; ends with 1 where something was found."""
    if unknown := set(only or ()) - set(TARGETS):
        raise typer.BadParameter(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    fuzz(parts_of(inputs, only or ()), seed=seed, findings=findings.resolve()).print(output)


if __name__ == "__main__":
    typer.run(main)
