"""What TorchServe's worker process loads, from a copy of this file: it finds the rest by PYTHONPATH."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.peers.served import options


class ReferenceHandler:
    """One batch at a time."""

    def initialize(self, context: Any) -> None:
        """Warm when it returns."""
        self._answer = options.load(options.options())

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Raw bodies in and out."""
        return self._answer([bytes(row["body"]) for row in data])
