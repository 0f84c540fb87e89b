"""`python -m deploy.grafana` writes the dashboards as JSON; `--check` says whether they are as it would write them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.capacity import capacity
from deploy.grafana.flows import flows
from deploy.grafana.overview import overview
from deploy.grafana.service import service

FOLDER = Path(__file__).parent / "dashboards"
DASHBOARDS: Mapping[str, Callable[[], Dashboard]] = {
    "overview": overview,
    "service": service,
    "flows": flows,
    "capacity": capacity,
}
"""By the name of the file."""


def rendered() -> dict[Path, str]:
    """What is to be in each file."""
    return {
        FOLDER / f"{name}.json": JSONEncoder(sort_keys=True, indent=2).encode(make()) + "\n"
        for name, make in DASHBOARDS.items()
    }


def main() -> int:
    """Exit code 1 where `--check` found a file that is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description="Writes the Grafana dashboards.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if a file would change")
    check = parser.parse_args().check
    stale = {path: text for path, text in rendered().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        sys.stdout.write(f"{path.name}: {'not up to date; make dashboards' if check else 'written'}\n")
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
