"""Finds the pictures of a folder that are nearest to a text: both are points of one space.

python gateway/examples/python/search.py out 'a black cat'
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.client import DEFAULT_ADDRESS, Diptych
from gateway.client.results import Encoding

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
SHOWN = 5


def main() -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description="Finds pictures by a text.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("text")
    parser.add_argument("--address", default=DEFAULT_ADDRESS)
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.folder.iterdir() if file.suffix.lower() in SUFFIXES)

    with Diptych(arguments.address, caller="example") as diptych:
        [wanted] = diptych.encode_text(arguments.text)
        a_call = diptych.capabilities().limits.images
        found: list[tuple[Path, Encoding]] = []
        for start in range(0, len(files), a_call):
            some = files[start : start + a_call]
            found += zip(some, diptych.encode_image(some, space=wanted.space), strict=True)

    found.sort(key=lambda each: each[1].similarity(wanted), reverse=True)
    for file, encoding in found[:SHOWN]:
        print(f"{encoding.similarity(wanted):+.3f} {file}")


if __name__ == "__main__":
    main()
