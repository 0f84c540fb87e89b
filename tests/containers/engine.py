"""A real dockerd in a network namespace of its own, and this process inside of that namespace."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from tests.containers.machine import KEPT, RUN, program, run

NAMESPACE = "diptych-containers"
_NAMESPACE_FILE = Path("/run/netns") / NAMESPACE
_CLONE_NEWNET = 0x40000000
_START_SECONDS = 60
_STOP_SECONDS = 60


class DockerEngine:
    """dockerd; inside `with` it runs, and this process sees its networks and published ports.

    The namespace is what separates it from the machine: its bridges and rules for packets are in there alone, and no
    port of the machine is taken. Threads that were started before entering stay outside.
    """

    def __init__(self) -> None:
        self.socket = RUN / "docker.sock"
        self._data = KEPT / "docker"
        self._log = KEPT / "dockerd.log"

    def __enter__(self) -> Self:
        sweep()
        RUN.mkdir(mode=0o700, exist_ok=True)
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        run([program("ip"), "netns", "add", NAMESPACE])
        try:
            run([program("ip"), "-n", NAMESPACE, "link", "set", "lo", "up"])
            _enter(_NAMESPACE_FILE)
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        _enter(Path(f"/proc/self/fd/{self._outside}"))
        os.close(self._outside)
        sweep()

    def _start(self) -> None:
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [
                    program("dockerd"), "--data-root", self._data, "--exec-root", RUN / "exec",
                    "--pidfile", RUN / "pid", "--host", f"unix://{self.socket}",
                    "--default-ulimit", "nofile=10000:10000",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it in order
                env={**os.environ, "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"},
            )  # fmt: skip
        give_up = time.monotonic() + _START_SECONDS
        while True:
            assert process.poll() is None, f"dockerd ended with {process.returncode}:\n{self._log.read_text()[-4000:]}"
            with suppress(AssertionError):
                self.docker("version")
                return
            assert time.monotonic() < give_up, f"dockerd does not answer:\n{self._log.read_text()[-4000:]}"
            time.sleep(0.2)

    def docker(self, *arguments: str | Path, seconds: float = 120) -> str:
        """Runs the docker command against it."""
        return run([program("docker"), "--host", f"unix://{self.socket}", *arguments], seconds=seconds)

    def inspect(self, thing: str) -> dict[str, Any]:
        """What `docker inspect` tells of a container, an image or a network."""
        [told] = json.loads(self.docker("inspect", thing))
        assert isinstance(told, dict)
        return told


def _enter(namespace: Path) -> None:
    """Moves this thread, and what it starts from now on, into a network namespace; os.setns is of Python 3.12."""
    library = ctypes.CDLL(None, use_errno=True)
    with namespace.open("rb") as file:
        if library.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")


def sweep() -> None:
    """Ends and removes whatever a run left behind, this one or one that was killed: processes, mounts, namespace."""
    engines = [each for each in _processes() if each.name() == "dockerd"]
    for process in engines:  # stops its containers and its containerd in order
        process.terminate()
    psutil.wait_procs(engines, timeout=_STOP_SECONDS)
    for process in _processes():
        with suppress(psutil.NoSuchProcess):
            for each in (*process.children(recursive=True), process):  # of a shim, its container
                each.kill()
    for place in _mounts():
        subprocess.run([program("umount"), "--lazy", place], check=False, capture_output=True, timeout=30)
    if _NAMESPACE_FILE.exists():
        run([program("ip"), "netns", "delete", NAMESPACE])
    shutil.rmtree(KEPT / "docker", ignore_errors=True)
    shutil.rmtree(RUN, ignore_errors=True)


def _processes() -> list[psutil.Process]:
    """dockerd, containerd and its shims of this place, found by the folder that each has on its command line."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name().startswith(("dockerd", "containerd")) and f"{RUN}/" in " ".join(process.cmdline()):
                found.append(process)
    return found


def _mounts() -> list[str]:
    """Mounts below our folders, the innermost first."""
    places = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    below = (f"{KEPT / 'docker'}/", f"{RUN}/")
    return sorted((place for place in places if place.startswith(below)), reverse=True)
