"""MLServer around a reference module: adaptive batching in the front, the model in its one worker process."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from tests.benchmarks.peers.served.options import MODEL, load, options

LEAST_DELAY_SECONDS = 0.001
"""Without any delay MLServer does not batch."""


class ReferenceModel(MLModel):
    """What the worker process loads."""

    async def load(self) -> bool:
        """Warm when it returns."""
        self._answer = load(options())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One BYTES tensor in, one out, a row an item."""
        answers = self._answer([bytes(item) for item in payload.inputs[0].data])
        output = ResponseOutput(name="answer", shape=[len(answers)], datatype="BYTES", data=answers)
        return InferenceResponse(model_name=self.name, outputs=[output])


def main() -> None:
    """Writes MLServer's two files and becomes `mlserver start`."""
    chosen = options()
    http_port, metrics_port = chosen.spare_ports[:2]
    server: dict[str, object] = {"host": "127.0.0.1", "grpc_port": chosen.port}
    server |= {"http_port": http_port, "metrics_port": metrics_port}
    model: dict[str, object] = {"name": MODEL, "implementation": f"{__spec__.name}.{ReferenceModel.__name__}"}
    if not chosen.shipped:
        server |= {"debug": False, "parallel_workers": 1}
        delay = max(LEAST_DELAY_SECONDS, chosen.delay_seconds)
        model |= {"max_batch_size": chosen.max_batch_size, "max_batch_time": delay}
    chosen.path("settings.json").write_text(json.dumps(server), "utf-8")
    chosen.path("model-settings.json").write_text(json.dumps(model), "utf-8")
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", chosen.folder])  # noqa: S606


if __name__ == "__main__":
    main()
