"""What a server says of itself: whether it serves, and which model."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2

from shared.rpc import metadata
from shared.rpc.channel import open_channel
from shared.rpc.health import SERVING, short_reason, watch_method

POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class ServerStatus:
    """One server, as its health service and the metadata of Health.Watch tell it."""

    address: str
    serving: bool
    reason: str
    """Why it does not serve; empty while it does."""
    model: str = ""
    version: str = ""
    digest: str = ""
    space: str = ""


async def server_status(
    address: str, *, timeout_seconds: float = 2.0, credentials: grpc.ChannelCredentials | None = None
) -> ServerStatus:
    """Asks a server once, over TLS with credentials."""
    channel = open_channel(address, max_message_bytes=4096, credentials=credentials)
    call = watch_method(channel)(health_pb2.HealthCheckRequest(), timeout=timeout_seconds)
    try:
        told = {str(key): str(value) for key, value in await call.initial_metadata()}
        async for answer in call:
            serving = answer.status == SERVING
            return ServerStatus(
                address=address,
                serving=serving,
                reason="" if serving else "not serving",
                model=told.get(metadata.MODEL_NAME, ""),
                version=told.get(metadata.MODEL_VERSION, ""),
                digest=told.get(metadata.MODEL_DIGEST, ""),
                space=told.get(metadata.MODEL_SPACE, ""),
            )
        return ServerStatus(address=address, serving=False, reason="health watch ended")
    except grpc.aio.AioRpcError as error:
        return ServerStatus(address=address, serving=False, reason=short_reason(error))
    finally:
        call.cancel()
        await channel.close()


async def wait_until_serving(address: str, credentials: grpc.ChannelCredentials | None = None) -> ServerStatus:
    """Returns once the server serves."""
    while True:
        status = await server_status(address, credentials=credentials)
        if status.serving:
            return status
        await asyncio.sleep(POLL_SECONDS)
