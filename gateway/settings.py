"""Settings of the gateway: where the model services are, and what it refuses."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.call_log import CallLog
from shared.errors import ConfigurationError
from shared.limits import IMAGE_BYTES
from shared.rpc.replica_pool import PoolOptions
from shared.rpc.resolver import parse_targets
from shared.settings import ServerSettings

DEFAULT_PORT = 50051
SERVICES = ("text", "classification", "generation", "captioning")
"""The model services, by the names that errors, metrics and commands use."""


def _check_targets(text: str) -> str:
    try:
        parse_targets(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return text


def _check_names(text: str) -> str:
    for name in filter(None, map(str.strip, text.split(","))):
        if not re.fullmatch(r"[\w.-]+|\[[\da-fA-F:.]+\]", name):
            raise ValueError(f"{name} is no host name; give it without scheme, port and path")
    return text


Targets = Annotated[str, AfterValidator(_check_targets)]
"""A comma-separated list of `host:port` and `dns:///name:port`."""


class GatewaySettings(ServerSettings):
    """What the gateway listens on, calls and accepts."""

    port: int = Field(default=DEFAULT_PORT, ge=0, le=65535)
    """Port of gRPC; 0 takes a free one and logs it."""
    call_log: CallLog = "all"
    """As for every server; the gateway's lines are those of the callers' calls."""
    keys_file: Path | None = None
    """TOML file of the keys that callers need (README, "Keys"); used anew when it changes. Anybody when not set."""
    web_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of the playground over HTTP; off when not set; 0 takes a free one and logs it."""
    web_names: Annotated[str, AfterValidator(_check_names)] = ""
    """Names of the playground besides `localhost` and `DIPTYCH_HOST`, such as `pictures.example`; comma-separated."""
    web_connections: int = Field(default=256, ge=1)
    """Most connections to the playground's port; further ones get 503. As many more may be in TLS handshakes."""
    web_body_bytes: int = Field(default=128 * 1024 * 1024, ge=1024)
    """Bytes of requests that the playground's port holds, of all calls under way; more end with RESOURCE_EXHAUSTED."""
    web_read_seconds: float = Field(default=30.0, gt=0)
    """Longest that a request to the playground's port may take to arrive: its head, and then its body."""
    text_targets: Targets = "127.0.0.1:50061"
    """Replicas of text encoding: `host:port` or `dns:///name:port` (every address of the name), comma-separated."""
    classification_targets: Targets = "127.0.0.1:50062"
    """Replicas of classification, as for text."""
    generation_targets: Targets = "127.0.0.1:50063"
    """Replicas of generation, as for text."""
    captioning_targets: Targets = "127.0.0.1:50064"
    """Replicas of captioning, as for text."""
    services_ca: Path | None = None
    """PEM file of CAs of the model services: turns TLS on towards them, with `DIPTYCH_TLS_CERTIFICATE` as our own."""
    replica_wait_seconds: float = Field(default=1.0, ge=0)
    """Longest a call waits for a replica that serves before it ends with UNAVAILABLE."""
    resolve_seconds: float = Field(default=3.0, gt=0)
    """Seconds between two look-ups of `dns:///` names."""
    default_timeout_seconds: float = Field(default=60.0, gt=0)
    """Timeout of each call to a model service when the caller set no deadline."""
    retry_ratio: float = Field(default=0.2, ge=0, le=1)
    """Retries on another replica, in the long run, a call."""
    retry_burst: int = Field(default=64, ge=0)
    """Retries at once."""
    encoding_cache_bytes: int = Field(default=32 * 1024 * 1024, ge=0)
    """Memory for encodings of texts, the least recently used forgotten first; 0 remembers none."""
    max_prompt_characters: int = Field(default=500, ge=1)
    """Longest prompt or text, in Unicode code points."""
    max_texts: int = Field(default=64, ge=1)
    """Most texts of one EncodeText; fewer where the text service takes fewer."""
    max_images: int = Field(default=16, ge=1)
    """Most pictures of one call, sent or painted; so of seeds and candidates. Fewer where a service takes fewer."""
    max_labels: int = Field(default=256, ge=1)
    """Most labels of the caller's own in one ClassifyImage."""
    max_caption_candidates: int = Field(default=16, ge=1, le=16)
    """Most captions a picture of one ImageToText."""
    max_image_bytes: int = Field(default=IMAGE_BYTES, ge=1, le=IMAGE_BYTES)
    """Largest picture file, in bytes, at most 8 MiB; its sides and pixels are checked where it is decoded."""

    def missing_protection(self) -> list[str]:
        """As of every server, but that keys do as well as certificates of callers."""
        missing = super().missing_protection()
        who = "DIPTYCH_TLS_CLIENT_CA"
        if who not in missing:
            return missing
        rest = [name for name in missing if name != who]
        return rest if self.keys_file is not None else [*rest, f"DIPTYCH_KEYS_FILE or {who}"]

    def targets(self, service: str) -> tuple[str, ...]:
        """The targets of one of `SERVICES`."""
        return parse_targets(str(getattr(self, f"{service}_targets")))

    def further_web_names(self) -> frozenset[str]:
        """The names of `web_names`, in lower case."""
        return frozenset(filter(None, map(str.strip, self.web_names.lower().split(","))))

    def pool_options(self) -> PoolOptions:
        """How the pools of replicas behave."""
        return PoolOptions(
            replica_wait_seconds=self.replica_wait_seconds,
            resolve_seconds=self.resolve_seconds,
            default_timeout_seconds=self.default_timeout_seconds,
            retry_ratio=self.retry_ratio,
            retry_burst=self.retry_burst,
            max_message_bytes=self.max_message_bytes,
        )


def child_environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """The environment for a process that we start: ours, with changes; None takes a variable away."""
    changed = {**os.environ, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def quiet_grpc() -> None:
    """Keeps gRPC's own remarks, such as that a server said goodbye, off a command's standard error."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
