"""nvidia-pytriton around a reference module: Triton's dynamic batcher, one callable in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor, TimeoutAction
from pytriton.triton import Triton, TritonConfig

from tests.benchmarks.peers.served.options import MODEL, Options, load, options

MICROSECONDS = 1_000_000


def batching(chosen: Options) -> ModelConfig:
    """A queue with a bound, and the time-out that each request brings; or what pytriton has by itself."""
    if chosen.shipped:
        return ModelConfig()
    policy = QueuePolicy(
        timeout_action=TimeoutAction.REJECT,
        allow_timeout_override=True,
        max_queue_size=chosen.queue,
    )
    delay = int(chosen.delay_seconds * MICROSECONDS)
    batcher = DynamicBatcher(max_queue_delay_microseconds=delay, default_queue_policy=policy)
    return ModelConfig(max_batch_size=chosen.max_batch_size, batcher=batcher)


def main() -> None:
    """Serves."""
    chosen = options()
    answer = load(chosen)

    def infer(requests: list[Any]) -> list[dict[str, np.ndarray]]:
        payloads = [request["payload"][0, 0] for request in requests]
        return [{"answer": np.array([[found]], dtype=object)} for found in answer(payloads)]

    http_port, metrics_port = chosen.spare_ports[:2]
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=http_port,
        grpc_address="127.0.0.1",
        grpc_port=chosen.port,
        metrics_port=metrics_port,
    )
    with Triton(config=config, workspace=str(chosen.path("workspace"))) as triton:
        tensors = {"inputs": [Tensor(name="payload", dtype=bytes, shape=(1,))]}
        tensors["outputs"] = [Tensor(name="answer", dtype=bytes, shape=(1,))]
        triton.bind(model_name=MODEL, infer_func=infer, config=batching(chosen), **tensors)
        triton.serve()


if __name__ == "__main__":
    main()
