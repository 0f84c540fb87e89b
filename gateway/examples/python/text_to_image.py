"""Paints a text: four pictures, each written as soon as it is ready, and then the one of eight that fits the text best.

python gateway/examples/python/text_to_image.py 'a black cat' --output out
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gateway.client import DEFAULT_ADDRESS, Diptych


def main() -> None:
    """Runs the example."""
    parser = argparse.ArgumentParser(description="Paints a text.")
    parser.add_argument("prompt")
    parser.add_argument("--output", type=Path, default=Path("out"))
    parser.add_argument("--address", default=DEFAULT_ADDRESS)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    with Diptych(arguments.address, caller="example") as diptych:
        for _, picture in diptych.stream_text_to_image(arguments.prompt, seed=1, count=4):
            path = picture.save(arguments.output / f"picture-{picture.seed}.png")
            print(f"{path}: {picture.width} x {picture.height}, by {picture.provenance.generation_model.name}")

        [best] = diptych.text_to_image(arguments.prompt, seed=1, candidates=8, format="webp", quality=80)
        path = best.save(arguments.output / "best.webp")
        print(f"{path}: seed {best.seed}, similarity {best.similarity:.2f}")


if __name__ == "__main__":
    main()
