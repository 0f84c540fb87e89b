"""A process that does what its arguments say: `exit 3`, `sleep`, `stubborn` (SIGTERM is ignored)."""

from __future__ import annotations

import signal
import sys
import time

if __name__ == "__main__":
    print("ready", flush=True)
    match sys.argv[1:]:
        case ["exit", code]:
            print(f"last words of exit {code}", flush=True)
            sys.exit(int(code))
        case ["stubborn"]:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            print("deaf", flush=True)
    time.sleep(60)
