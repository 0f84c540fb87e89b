"""LitServe around a reference module: raw bodies in and out, batched by its own loop."""

# No `from __future__ import annotations`: LitServe gives these annotations to FastAPI as they are.

from typing import Annotated

import litserve
from fastapi import Body, Response

from tests.benchmarks.peers.served.options import Answer, Options, load, options


class ReferenceApi(litserve.LitAPI):
    """The hooks of a batched request, in their order."""

    def __init__(self, chosen: Options) -> None:
        sizes = {"max_batch_size": chosen.max_batch_size, "batch_timeout": chosen.delay_seconds}
        super().__init__(**({} if chosen.shipped else sizes))
        self._chosen = chosen
        self._answer: Answer

    def setup(self, device: str) -> None:
        """In the worker process."""
        self._answer = load(self._chosen)

    def decode_request(self, request: Annotated[bytes, Body()]) -> bytes:
        """Raw, as it came."""
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Not into a tensor, which is what LitServe would do."""
        return inputs

    def predict(self, x: bytes | list[bytes]) -> bytes | list[bytes]:
        """A list where LitServe batches, else one."""
        return self._answer(x) if isinstance(x, list) else self._answer([x])[0]

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """One an input."""
        return output

    def encode_response(self, output: bytes) -> Response:
        """Raw."""
        return Response(output, media_type="application/octet-stream")


def main() -> None:
    """Serves."""
    chosen = options()
    timeout = {} if chosen.shipped else {"timeout": chosen.deadline_seconds}
    server = litserve.LitServer(
        ReferenceApi(chosen), accelerator="cpu", devices=1, fast_queue=not chosen.shipped, **timeout
    )
    server.run(host="127.0.0.1", port=chosen.port, generate_client_file=False, log_level="warning", num_api_servers=1)


if __name__ == "__main__":
    main()
