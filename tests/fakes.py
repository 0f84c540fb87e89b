"""Small real things that stand in for models: their answers can be checked by eye, and they run in a real process.

A fake predictor answers a text with its length. Which of the other things it does is said by the text itself, so that
one `load` serves every test: `sleep 0.2`, `fail`, `raise`, `hang`, `die`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from shared.errors import Code, ModelDirectoryError
from shared.inference.predictor import Failure, ModelInfo, RuntimeOptions

FAKE_INFO = ModelInfo(
    name="length", version="1", digest="0" * 64, space="fake-space", bucket_sizes=(1, 2, 4, 8), languages=("en", "de")
)


class LengthPredictor:
    """Answers a text with its length."""

    info = FAKE_INFO
    device = "cpu fake"

    def warmup(self) -> None:
        for size in self.info.bucket_sizes:
            self.predict(["x"] * size)

    def predict(self, batch: Sequence[str], /) -> Sequence[int | Failure]:
        return [self._answer(text) for text in batch]

    def _answer(self, text: str) -> int | Failure:
        command, _, argument = text.partition(" ")
        if command == "sleep":
            time.sleep(float(argument))
        elif command == "fail":
            return Failure(code=Code.INVALID_ARGUMENT, message="fail is not a text")
        elif command == "raise":
            raise ArithmeticError("raise was asked for")
        elif command == "hang":
            time.sleep(3600)
        elif command == "die":
            os._exit(3)
        return len(text)


def load(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor; nothing is read."""
    return LengthPredictor()


def load_without_model(directory: Path, options: RuntimeOptions) -> LengthPredictor:
    """A LoadPredictor that finds no model."""
    raise ModelDirectoryError(f"{directory / 'model.toml'}: missing")
