"""What /proc tells of processes, and on which cores they run. Linux only."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

MEGABYTE = 1e6
_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes so far; those that are gone have none."""
    return sum(map(_cpu_seconds, pids))


def busy_seconds() -> float:
    """CPU time that all processes of the machine, and others on its host, took so far; waiting for disks is none."""
    ticks = [int(field) for field in Path("/proc/stat").read_text("ascii").splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS


def pss_megabytes(pids: Iterable[int]) -> float:
    """Proportional set size of these processes together: shared pages count once."""
    return sum(map(_pss_bytes, pids)) / MEGABYTE


def pin(pids: Iterable[int], cores: Collection[int]) -> None:
    """Keeps all threads of these processes, and those they will start, on these cores."""
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), cores)


def _cpu_seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
