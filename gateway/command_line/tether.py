"""`python -m gateway.command_line.tether MODULE [ARGUMENT...]`: `python -m MODULE`, tied to its parent's life.

Standard input is a pipe whose other end only the parent holds. When the parent ends, however it ends (`kill -9`
too), the kernel closes that end, a thread here reads end-of-file, and the module gets SIGTERM. A pipe is chosen over
`prctl(PR_SET_PDEATHSIG)`, which Linux alone has, and which watches the parent's thread and not the parent.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE_SECONDS = 5.0
"""Time for a clean end; nobody is left to see a slower one."""


def main() -> None:
    """Runs the module in this process."""
    module, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_parent, name="tether", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
