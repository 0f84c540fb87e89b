"""What a gRPC port does with connections: where it listens, how long and how many it keeps."""

from __future__ import annotations

import socket

import grpc

from shared.errors import ConfigurationError
from shared.settings import ServerSettings


def connection_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Bounds of what somebody who has not called yet may hold, and pings that are taken."""
    options = [
        # A taken port is an error; by default two processes would share it silently.
        ("grpc.so_reuseport", 0),
        # Clients may ping every 5 s, and pings that piled up while this process got no CPU are no offence:
        # gRPC's defaults, 5 min and 2 strikes, tear the connection down with all its calls.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.server_handshake_timeout_ms", _milliseconds(settings.handshake_seconds)),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.max_concurrent_streams", settings.max_streams),
        # Else gRPC counts streams that have ended for a moment longer than the caller does, and ends calls of callers
        # who keep to the limit with UNAVAILABLE: of 1,200 by 60 callers at a limit of 50 it was 374.
        ("grpc.http.overload_protection", 0),
        ("grpc.max_connection_idle_ms", _milliseconds(settings.connection_idle_seconds)),
    ]
    if settings.connection_age_seconds is not None:
        options += [
            ("grpc.max_connection_age_ms", _milliseconds(settings.connection_age_seconds)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(settings.connection_grace_seconds)),
        ]
    return options


def listen(
    server: grpc.aio.Server,
    host: str,
    port: int,
    *,
    purpose: str = "",
    credentials: grpc.ServerCredentials | None = None,
) -> int:
    """Has a server listen, over TLS where there are credentials; returns the port.

    Raises:
        ConfigurationError: the port is taken, or the address is none of this machine's.
    """
    try:
        _try_address(host, port)
        address = host_and_port(host, port)
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except (OSError, RuntimeError) as error:
        what = f" for {purpose}" if purpose else ""
        raise ConfigurationError(f"cannot listen on {host}:{port}{what}: {error}") from error


def host_and_port(host: str, port: int) -> str:
    """As targets and URLs have it: an IPv6 address is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _try_address(host: str, port: int) -> None:
    """Raises OSError when nobody could listen there; gRPC writes lines of its own about that, and not the reason."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
