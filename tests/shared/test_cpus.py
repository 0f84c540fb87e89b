"""The CPUs that a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shared.cpus import available_cpus


def test_quota_of_half_a_cpu_still_gives_one_thread(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n")
    assert available_cpus(quota) == 1


@pytest.mark.parametrize("text", ["max 100000\n", "nonsense", None])
def test_without_a_quota_the_affinity_mask_counts(tmp_path: Path, text: str | None) -> None:
    quota = tmp_path / "cpu.max"
    if text is not None:
        quota.write_text(text)
    assert available_cpus(quota) == len(os.sched_getaffinity(0))
