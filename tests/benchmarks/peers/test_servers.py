"""Processes of a peer's server are found and ended, also those that its parents forgot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.environments import Unavailable, make
from tests.benchmarks.peers.server import PeerServer
from tests.benchmarks.sections.modules import TASKS
from tests.end_to_end.servers import RUN_MARK, leftovers, new_mark, wait_until

ORPHANING = """
import subprocess, sys, time
sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
starter = "import subprocess; subprocess.Popen(%r, start_new_session=True)" % (sleeper,)
subprocess.run([sys.executable, "-c", starter])
print("orphaned", flush=True)
time.sleep(600)
"""


def test_server_that_orphans_a_process_is_ended_with_it(tmp_path: Path) -> None:
    mark = new_mark()
    with subprocess.Popen(
        [sys.executable, "-c", ORPHANING],
        env={**os.environ, RUN_MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as popen:
        server = PeerServer(popen=popen, address="", log=tmp_path / "log", mark=mark)
        try:
            assert popen.stdout is not None
            popen.stdout.readline()
            assert len(server.pids()) == 2
        finally:
            server.end()
    wait_until(lambda: not leftovers(mark), "both processes have ended")


def test_every_peer_has_a_server_and_a_delay_for_each_module_that_was_tried() -> None:
    served = Path(__file__).with_name("served")
    for name, peer in PEERS.items():
        assert (served / f"{name}_server.py").is_file()
        assert set(peer.delays_ms) == set(TASKS)
        assert set(peer.delays_ms.values()) <= set(peer.tried_ms)


def test_peer_whose_program_is_missing_is_unavailable() -> None:
    peer = next(iter(PEERS.values()))
    with pytest.raises(Unavailable, match="not on this machine: no-such-program"):
        make(type(peer)(**{**vars(peer), "programs": ("no-such-program",)}))
