"""Sorts pictures by labels of your own, which no model was trained for.

python gateway/examples/python/zero_shot.py out/*.png --labels animal,vehicle,food
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.client import DEFAULT_ADDRESS, Diptych

BAR = 20
"""Characters of a probability of 1."""


def main() -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description="Sorts pictures by labels of your own.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--labels", required=True, help="comma-separated")
    parser.add_argument("--address", default=DEFAULT_ADDRESS)
    arguments = parser.parse_args()

    with Diptych(arguments.address, caller="example") as diptych:
        results = diptych.classify_image(arguments.files, arguments.labels.split(","))
        for file, result in zip(arguments.files, results, strict=True):
            print(f"{file}: {result.text}")
            for label in result.labels:
                print(f"   {'#' * round(BAR * label.probability):{BAR}} {label.probability:4.0%} {label.text}")


if __name__ == "__main__":
    main()
