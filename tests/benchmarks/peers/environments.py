"""The peers' virtual environments: made on first use, and again when the pins change.

`python -m tests.benchmarks.peers.environments [NAME ...]` makes them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.load.generator import REPOSITORY
from tests.benchmarks.peers.catalogue import PEERS, Peer

ENVIRONMENTS = REPOSITORY / ".venv-peers"
FIRST = ("torch", "numpy", "pillow")
"""What the reference modules need, at the project's versions."""


class Unavailable(Exception):  # noqa: N818 - a state of the peer, told in a row
    """This peer does not run here; the message says why."""


def python(peer: Peer) -> Path:
    """Its interpreter."""
    return ENVIRONMENTS / peer.name / "bin" / "python"


def make(peer: Peer) -> None:
    """Makes what is not there yet. Raises Unavailable with what the installer said."""
    if missing := [program for program in peer.programs if shutil.which(program) is None]:
        raise Unavailable(f"not on this machine: {', '.join(missing)}")
    folder = ENVIRONMENTS / peer.name
    made, pins = folder / ".made", "\n".join([*peer.packages, *peer.files.values()])
    if made.exists() and made.read_text("utf-8") == pins:
        return
    made.unlink(missing_ok=True)
    _run(sys.executable, "-m", "venv", str(folder))
    install = (str(python(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*install, "--constraint", str(REPOSITORY / "constraints.txt"), *FIRST)
    torch = _run(str(python(peer)), "-c", "import torch; print(torch.__version__.partition('+')[0])")
    _run(*install, f"torch=={torch.strip()}", *peer.packages)
    packages = Path(_run(str(python(peer)), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for name, text in peer.files.items():
        (packages / name).write_text(text, "utf-8")
    made.write_text(pins, "utf-8")


def _run(*command: str) -> str:
    """Its output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-3:]
        raise Unavailable(f"could not be installed: {' '.join(said)[-300:]}")
    return done.stdout


def main() -> None:
    """Makes those named, or all."""
    for name in sys.argv[1:] or PEERS:
        try:
            make(PEERS[name])
        except Unavailable as error:
            sys.stdout.write(f"{name}: {error}\n")
        else:
            sys.stdout.write(f"{name}: ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
