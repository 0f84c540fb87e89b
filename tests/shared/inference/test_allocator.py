"""Memory that a process keeps, seen by the page faults of taking it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES = 8192
PROGRAM = f"""
import resource, sys
from shared.inference.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray({PAGES} * 4096)
before = faults()
bytearray({PAGES} * 4096)
print(faults() - before)
"""


def page_faults(how: str) -> int:
    """Of memory that is taken, filled and freed for the second time."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's mallopt")
def test_freed_memory_is_taken_again_without_page_faults() -> None:
    assert page_faults("return") > PAGES / 2
    assert page_faults("keep") < PAGES / 10
