"""Describes pictures in two languages; a file that is no picture is named, and the others are described all the same.

python gateway/examples/python/image_to_text.py out/picture-1.png out/picture-2.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.client import DEFAULT_ADDRESS, Diptych
from shared.errors import InvalidArgumentError


def main() -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description="Describes pictures.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--address", default=DEFAULT_ADDRESS)
    arguments = parser.parse_args()

    with Diptych(arguments.address, caller="example") as diptych:
        for file in arguments.files:
            for language in ("en", "zh"):
                try:
                    [description] = diptych.image_to_text(file, language=language, candidates=3)
                except InvalidArgumentError as error:
                    print(f"{file}: {error.reason.name if error.reason else error.code.name}: {error}")
                    break
                print(f"{file}: {description.text} ({description.score:.2f})")
                for caption in description.captions[1:]:
                    print(f"   or: {caption.text} ({caption.score:.2f})")
                print("   on it: " + ", ".join(f"{each.text} {each.probability:.0%}" for each in description.labels))


if __name__ == "__main__":
    main()
