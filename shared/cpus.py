"""How many CPUs there are for this process."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota_file: Path = CGROUP_QUOTA) -> int:
    """CPUs this process may use: its affinity mask, cut to the cgroup's quota rounded up; at least 1."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text("ascii").split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, math.ceil(int(quota) / int(period))))
