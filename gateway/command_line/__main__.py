"""Entry point of the `diptych` script, which ends quietly from the first moment on: it imports the rest meanwhile."""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Runs the command. Ctrl-C ends it here and now, until a command has something to end in order."""
    signal.signal(signal.SIGINT, _leave)
    from gateway.command_line.cli import build

    build()(prog_name="diptych")


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(130)  # INTERRUPTED of console.py; nothing is open yet, and unwinding would show where we were


if __name__ == "__main__":
    main()
