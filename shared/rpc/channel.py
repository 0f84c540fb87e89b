"""Channels to other servers: limits, keepalive and quick reconnects, set once for every hop."""

from __future__ import annotations

import grpc

from shared.limits import LABELS_BYTES


def message_limits(*, receive: int, send: int) -> list[tuple[str, int]]:
    """The options that raise gRPC's 4 MiB default of one end, in bytes; both ends of every hop set them."""
    return [
        ("grpc.max_receive_message_length", receive),
        ("grpc.max_send_message_length", send),
    ]


def open_channel(
    target: str, *, max_message_bytes: int, credentials: grpc.ChannelCredentials | None = None, authority: str = ""
) -> grpc.aio.Channel:
    """A channel to one replica, for an event loop.

    Args:
        target: `host:port`.
        max_message_bytes: of an answer.
        credentials: for TLS; plain text without.
        authority: what the other end's certificate must name, where it is not the target's host.
    """
    options = _channel_options(max_message_bytes, credentials, authority)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


def open_blocking_channel(
    target: str, *, max_message_bytes: int, credentials: grpc.ChannelCredentials | None = None
) -> grpc.Channel:
    """The same for calls that block their thread."""
    options = _channel_options(max_message_bytes, credentials)
    if credentials is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, credentials, options=options)


def _channel_options(
    max_message_bytes: int, credentials: grpc.ChannelCredentials | None, authority: str = ""
) -> list[tuple[str, int | str]]:
    """gRPC's own retries are off: only who knows several replicas can retry elsewhere. A lost replica
    is tried again every 0.1 to 0.5 s, so that its return is seen within the second.
    """
    return [
        *message_limits(receive=max_message_bytes, send=max_message_bytes + LABELS_BYTES),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
        # Not a pause, whatever its name says, but the time that a connection may take. TCP and HTTP/2 go to and fro
        # twice, TLS once or twice more, and a busy machine takes its time for a signature.
        ("grpc.min_reconnect_backoff_ms", 1_000 if credentials is None else 3_000),
        # A peer that vanished without a FIN is noticed within 15 s; servers allow pings this often.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # One connection a channel: sharing subchannels would let two pools count each other's load.
        ("grpc.use_local_subchannel_pool", 1),
        # Proxies of the environment are for the web, not for neighbours.
        ("grpc.enable_http_proxy", 0),
        *([("grpc.default_authority", authority)] if authority else []),
    ]
