"""`python -m tests.benchmarks.plain_hop HOST:PORT`: a hop as thin as grpc.aio allows; it passes bytes on, unread.

No errors, no metrics, no deadline, no choice of replicas: what the gateway is compared with, and nobody would run.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import grpc
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

METHOD = "EncodeText"
SERVICE = "diptych.text.v1.TextEncodingService"


async def serve(target: str, port: int) -> None:
    """Until it is killed."""
    async with grpc.aio.insecure_channel(target) as channel:
        send: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/{METHOD}")

        async def pass_on(request: bytes, context: object) -> bytes:
            return await send(request)

        server = grpc.aio.server()
        handlers: dict[str, Any] = {METHOD: grpc.unary_unary_rpc_method_handler(pass_on)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(os.environ["DIPTYCH_PORT"])))
