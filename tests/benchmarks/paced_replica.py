"""A text service whose model sleeps: `python -m tests.benchmarks.paced_replica`, for runs that count calls by replica.

Its model directory holds two files: `version`, by which answers tell who gave them, and `slowness`, the factor on the
time of a batch, read before each, so that a replica can be slowed down while it runs.
"""

from __future__ import annotations

import dataclasses
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

import grpc

from diptych.text.v1 import text_encoding_pb2_grpc
from services.text.servicer import TextEncodingServicer
from services.text.settings import TextSettings
from shared.encodings import Encoding
from shared.entrypoint import run_server
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo, RuntimeOptions
from shared.inference.service import serve_model

BATCH_SECONDS = 0.020
ITEM_SECONDS = 0.020
BUCKETS = (1, 2, 4, 8)
CAPACITY = BUCKETS[-1] / (BATCH_SECONDS + BUCKETS[-1] * ITEM_SECONDS)
"""Texts a second at slowness 1."""
INFO = ModelInfo(name="paced", version="", digest="0" * 64, space="paced", bucket_sizes=BUCKETS, languages=("en",))


class PacedPredictor:
    """Answers every text with the same point, after a sleep."""

    device = "cpu asleep"

    def __init__(self, directory: Path) -> None:
        self.info = dataclasses.replace(INFO, version=(directory / "version").read_text())
        self._slowness = directory / "slowness"

    def warmup(self) -> None:
        """There is nothing to warm up."""

    def predict(self, batch: Sequence[str], /) -> list[Encoding]:
        """One point a text."""
        time.sleep(float(self._slowness.read_text()) * (BATCH_SECONDS + ITEM_SECONDS * len(batch)))
        return [Encoding(space=INFO.space, vector=array("f", [1.0]).tobytes())] * len(batch)


def load(directory: Path, options: RuntimeOptions) -> PacedPredictor:
    """A LoadPredictor."""
    return PacedPredictor(directory)


async def serve(settings: TextSettings) -> str | None:
    """Serves as `services.text` does."""

    def add_servicer(server: grpc.aio.Server, batcher: DynamicBatcher[str, Encoding], info: ModelInfo) -> None:
        servicer = TextEncodingServicer(batcher, info, settings)
        text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(servicer, server)

    return await serve_model(
        settings,
        load="tests.benchmarks.paced_replica:load",
        service="diptych.text.v1.TextEncodingService",
        add_servicer=add_servicer,
    )


if __name__ == "__main__":
    run_server("python -m tests.benchmarks.paced_replica", TextSettings, serve)
