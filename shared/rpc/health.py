"""Watching a server's health from outside, and saying shortly why it cannot be watched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2

if TYPE_CHECKING:  # generic in the stubs, not at run time
    WatchMethod = grpc.aio.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]

SERVING = health_pb2.HealthCheckResponse.SERVING


def watch_method(channel: grpc.aio.Channel) -> WatchMethod:
    """Health.Watch on a channel; by hand, since the health package's stub has no types."""
    return channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )


def short_reason(error: grpc.RpcError) -> str:
    """The end of `failed to connect to all addresses; last error: ...: Connection refused`, or all there is."""
    call: grpc.Call = error  # type: ignore[assignment]  # what raises it is a Call as well
    details = call.details() or call.code().name
    if "last error" not in details:
        return details
    # An errno follows what the operating system says, and an OK what TLS says.
    return re.sub(r" \(\d+\)$", "", details.removesuffix(": OK").rpartition(": ")[2]).lower()
