"""`python -m shared.rpc.probe [SERVICE]`: asks the health port of this container, for HEALTHCHECK; exit code 0 or 1.

It runs every few seconds in each container, and most of what it takes is importing: 0.15 s of a CPU. A settings class
would make that 0.3 s, so this module reads its one variable itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2

from shared.rpc.health import SERVING, short_reason

VARIABLE = "DIPTYCH_HEALTH_PORT"
_SECONDS = 3.0
"""The most that a probe takes; who runs it gives up later."""


def not_serving_reason(port: int, service: str = "", *, seconds: float = _SECONDS) -> str | None:
    """None when the server says SERVING, else why it is not, in one line.

    Args:
        port: on 127.0.0.1, plaintext.
        service: as in grpc.health.v1: "" is readiness, `live` is liveness.
        seconds: the most that it takes.
    """
    # Proxies of the environment are not for the own container.
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        check: Any = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            status = check(health_pb2.HealthCheckRequest(service=service), timeout=seconds).status
        except grpc.RpcError as error:
            return short_reason(error)
    return None if status == SERVING else health_pb2.HealthCheckResponse.ServingStatus.Name(status)


def main() -> NoReturn:
    """Exit code 0 when SERVING, else 1 with a line on standard error; Docker keeps 2 for itself."""
    if len(sys.argv) > 2:
        _fail("usage: python -m shared.rpc.probe [SERVICE]")
    service = sys.argv[1] if sys.argv[1:] else ""
    told = os.environ.get(VARIABLE, "")
    if not told.isascii() or not told.isdigit() or not 0 < int(told) < 65536:
        _fail(f"{VARIABLE} is {told!r}, which is no port")
    port = int(told)
    reason = not_serving_reason(port, service)
    if reason is not None:
        _fail(f"127.0.0.1:{port}{service and ' '}{service}: {reason}")
    raise SystemExit(0)


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
