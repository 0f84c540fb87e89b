"""A peer's server as the measuring process holds it: started in a session of its own, awaited, ended to the last child.

Peers start processes that outlive their parents, so what a server started is found by descent and by a mark in the
environment, and each process is ended by its id.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from tests.benchmarks.load.client import Ending
from tests.benchmarks.load.cores import server_cores
from tests.benchmarks.load.generator import REPOSITORY
from tests.benchmarks.load.plan import DEADLINE_SECONDS
from tests.benchmarks.peers.catalogue import Peer
from tests.benchmarks.peers.client import TRANSPORTS
from tests.benchmarks.peers.environments import ENVIRONMENTS, Unavailable, python
from tests.benchmarks.peers.served.options import VARIABLE, Options
from tests.benchmarks.peers.wire import WIRES
from tests.end_to_end.servers import RUN_MARK, leftovers, new_mark
from tests.ports import free_port

START_SECONDS = 90.0
TERM_SECONDS = 4.0
"""What a server has to end by itself."""
ASK_SECONDS, PAUSE_SECONDS = 5.0, 0.05
SPARE_PORTS = 8
QUEUE = 64
"""Callers of the closed loop all fit; more would wait for longer than a call under a deadline may take."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(kw_only=True)
class PeerServer:
    """One that runs."""

    popen: subprocess.Popen[bytes]
    address: str
    log: Path
    mark: str
    seconds_to_first_answer: float = 0.0
    first_answer: bytes = b""
    """To number 0, within whatever its transport puts around it."""
    _seen: set[psutil.Process] = field(default_factory=set)

    def processes(self) -> set[psutil.Process]:
        """All that live and belong to it."""
        found = set(leftovers(self.mark))
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.popen.pid)
            found |= {root, *root.children(recursive=True)}
        self._seen |= found
        return {process for process in self._seen if process.is_running()}

    def pids(self) -> list[int]:
        """Of `processes`."""
        return sorted(process.pid for process in self.processes())

    def end(self) -> None:
        """SIGTERM to the process that was started, and SIGKILL to each that is still there after a while."""
        self.processes()
        self.popen.terminate()
        give_up = time.monotonic() + TERM_SECONDS
        while self.popen.poll() is None and time.monotonic() < give_up:
            time.sleep(PAUSE_SECONDS)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.popen.wait()


@contextmanager
def peer_server(
    peer: Peer, task: str, *, max_batch_size: int, shipped: bool = False, delay_ms: float | None = None
) -> Iterator[PeerServer]:
    """One that has answered. Raises Unavailable when it does not start.

    Args:
        peer: which.
        task: the module it serves.
        max_batch_size: of the module.
        shipped: its own defaults for threads and batching.
        delay_ms: how long a batch may wait; the peer's best for this task.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chosen = Options(
            task=task,
            port=free_port(),
            spare_ports=[free_port() for _ in range(SPARE_PORTS)],
            folder=folder,
            shipped=shipped,
            max_batch_size=max_batch_size,
            delay_seconds=(peer.delays_ms[task] if delay_ms is None else delay_ms) / 1000,
            deadline_seconds=DEADLINE_SECONDS,
            queue=QUEUE,
        )
        server = _start(peer, chosen)
        try:
            _await_answer(server, peer, task)
            yield server
        finally:
            server.end()


def _start(peer: Peer, chosen: Options) -> PeerServer:
    mark, log = new_mark(), chosen.path("log")
    binaries = ENVIRONMENTS / peer.name / "bin"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("DIPTYCH_", "PYTHON"))},
        **({} if chosen.shipped else ONE_THREAD),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "TMPDIR": chosen.folder,
        RUN_MARK: mark,
        VARIABLE: json.dumps(asdict(chosen)),
    }
    with log.open("wb") as file:
        popen = subprocess.Popen(
            [str(python(peer)), "-m", f"tests.benchmarks.peers.served.{peer.name}_server"],
            cwd=chosen.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    os.sched_setaffinity(popen.pid, server_cores())
    return PeerServer(popen=popen, address=f"127.0.0.1:{chosen.port}", log=log, mark=mark)


def _await_answer(server: PeerServer, peer: Peer, task: str) -> None:
    begin = time.perf_counter()
    payload = WIRES[task].payload(0)
    said = ""
    while time.perf_counter() - begin < START_SECONDS:
        if server.popen.poll() is not None:
            raise Unavailable(f"ended with {server.popen.returncode}: {_tail(server.log)}")
        try:
            ending, answer = asyncio.run(_ask(server.address, peer.name, payload))
        except Exception as error:  # noqa: BLE001 - whatever a server that is starting answers
            said = f"{type(error).__name__}: {error}"
        else:
            if ending is Ending.ANSWERED:
                server.seconds_to_first_answer = time.perf_counter() - begin
                server.first_answer = answer
                return
        time.sleep(PAUSE_SECONDS)
    raise Unavailable(f"no answer in {START_SECONDS:g} s, last {said[:200]}: {_tail(server.log)}")


async def _ask(address: str, transport: str, payload: bytes) -> tuple[Ending, bytes]:
    async with TRANSPORTS[transport](address) as send:
        return await send(payload, ASK_SECONDS)


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-600:].replace("\n", " | ")
