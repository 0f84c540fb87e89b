"""BentoML around a reference module: one service with one worker, adaptive batching."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bentoml
from starlette.requests import Request
from starlette.responses import Response

from tests.benchmarks.peers.served.options import load, options

CHOSEN = options()
# BentoML knows no delay: it learns when to send a batch, within a latency that is not to be exceeded.
BATCHING = {"max_batch_size": CHOSEN.max_batch_size, "max_latency_ms": round(1000 * CHOSEN.delay_seconds)}
TRAFFIC = {"timeout": CHOSEN.deadline_seconds, "max_concurrency": CHOSEN.queue + CHOSEN.max_batch_size}


class Payloads(bentoml.IODescriptor):
    """A raw body as a batch of one, and back: BentoML's own formats would be JSON with numbers."""

    payloads: list[bytes]

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> Payloads:
        """Reads it."""
        return cls.model_construct(payloads=[await request.body()])

    @classmethod
    async def to_http_response(cls, obj: list[bytes], serde: Any) -> Response:
        """Writes it."""
        return Response(obj[0], media_type="application/octet-stream")


@bentoml.service(**({} if CHOSEN.shipped else {"traffic": TRAFFIC}))
class Reference:
    """The one service."""

    def __init__(self) -> None:
        self._answer = load(CHOSEN)

    @bentoml.api(batchable=True, input_spec=Payloads, output_spec=Payloads, **({} if CHOSEN.shipped else BATCHING))
    def answer(self, payloads: list[bytes]) -> list[bytes]:
        """One batch."""
        return self._answer(payloads)


def main() -> None:
    """Becomes `bentoml serve`."""
    os.environ["BENTOML_DO_NOT_TRACK"] = "true"
    program = str(Path(sys.executable).with_name("bentoml"))
    served = [f"{__spec__.name}:Reference", "--host", "127.0.0.1", "--port", str(CHOSEN.port)]
    os.execv(program, [program, "serve", *served])  # noqa: S606


if __name__ == "__main__":
    main()
