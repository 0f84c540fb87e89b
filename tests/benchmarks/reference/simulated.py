"""A model that takes its time without the CPU: it sleeps, so that many replicas of it fit on a small machine."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from shared.encodings import Encoding
from shared.inference.predictor import ModelInfo, RuntimeOptions
from tests.benchmarks.reference.inputs import SPACE, VECTOR

BATCH_SECONDS = 0.010
ITEM_SECONDS = 0.005


class SimulatedPredictor:
    """Answers each text with the same vector after the time that its batch takes."""

    info = ModelInfo(name="simulated-text", version="1", digest="0" * 64, space=SPACE, bucket_sizes=(1, 2, 4, 8, 16))
    device = "cpu asleep"

    def warmup(self) -> None:
        """There is nothing to warm up."""

    def predict(self, batch: Sequence[str], /) -> list[Encoding]:
        """The first unit vector, a text."""
        time.sleep(BATCH_SECONDS + ITEM_SECONDS * len(batch))
        vector = array("f", [1.0] + [0.0] * (VECTOR - 1)).tobytes()
        return [Encoding(space=SPACE, vector=vector)] * len(batch)


def load(directory: Path, options: RuntimeOptions) -> SimulatedPredictor:
    """A LoadPredictor; nothing is read."""
    return SimulatedPredictor()
