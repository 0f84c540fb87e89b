"""Ray Serve around a reference module: one replica behind its gRPC proxy, batched by `serve.batch`."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import grpc
import ray
from ray import serve

from tests.benchmarks.peers.served.options import Options, load, options

SERVICE, METHOD = "peers.Reference", "Answer"
CPUS = 2


class Raw(bytes):
    """Bytes that pass as a message of Protocol Buffers."""

    def SerializeToString(self) -> bytes:
        """Themselves."""
        return bytes(self)


def add_servicer(servicer: Any, server: Any) -> None:
    """What generated code would do, for messages that are bytes."""
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        METHOD: grpc.unary_unary_rpc_method_handler(getattr(servicer, METHOD))
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def deployment(chosen: Options) -> Any:
    """As an application."""
    batching = {"max_batch_size": chosen.max_batch_size, "batch_wait_timeout_s": chosen.delay_seconds}

    class Reference:
        def __init__(self) -> None:
            self._answer = load(chosen)

        @serve.batch(**({} if chosen.shipped else batching))
        async def batched(self, payloads: list[bytes]) -> list[Raw]:
            return [Raw(answer) for answer in self._answer(payloads)]

        async def Answer(self, payload: bytes) -> Raw:
            found: Raw = await self.batched(payload)
            return found

    # Documented for batching: more calls at once than a batch has. Two batches: one runs while the next one fills.
    bounds = {"max_ongoing_requests": 2 * chosen.max_batch_size, "max_queued_requests": chosen.queue}
    return serve.deployment(**({} if chosen.shipped else bounds))(Reference).bind()


def main() -> None:
    """Serves until SIGTERM."""
    chosen = options()
    if not chosen.shipped:
        os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    # A name too long for a socket's path would end it: Ray adds about 60 characters.
    ray.init(num_cpus=CPUS, include_dashboard=False, _temp_dir=chosen.folder, configure_logging=False)
    serve.start(
        http_options={"host": "127.0.0.1", "port": chosen.spare_ports[0]},
        grpc_options={"port": chosen.port, "grpc_servicer_functions": [f"{__spec__.name}.add_servicer"]},
    )
    serve.run(deployment(chosen), route_prefix="/")
    ended.wait()
    ray.shutdown()


if __name__ == "__main__":
    main()
