"""Settings that every server has: read from the environment once, frozen; no other module reads the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.call_log import CallLog
from shared.errors import ConfigurationError
from shared.exposure import is_loopback
from shared.inference.predictor import RuntimeOptions
from shared.limits import LABELS_BYTES


def _check_endpoint(text: str) -> str:
    if text and not re.fullmatch(r"(https?://)?(\[[\da-fA-F:.]+\]|[\w.-]+):\d{1,5}", text):
        raise ValueError("give host:port, http://host:port or https://host:port, without a path")
    return text


class ServerSettings(BaseSettings):
    """What a server listens on, tells and how it stops."""

    model_config = SettingsConfigDict(env_prefix="DIPTYCH_", frozen=True, use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address to listen on, for gRPC and metrics; `0.0.0.0` in a container."""
    allow_insecure: bool = False
    """Whether `DIPTYCH_HOST` may be one that others reach although nothing protects it; for a network you trust."""
    reflection: bool | None = None
    """Whether gRPC reflection is offered, which asks for no key; when not set, on loopback only."""
    port: int = Field(default=0, ge=0, le=65535)
    """Port of gRPC; 0 takes a free one and logs it."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """Port of Prometheus metrics over HTTP, `/metrics`; 0 takes a free one and logs it."""
    health_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of health alone, always in plain text, for probes; off when not set; 0 takes a free one and logs it."""
    tls_certificate: Path | None = None
    """PEM file: the certificate, then those between it and its CA. Turns TLS on for every port but that of health."""
    tls_key: Path | None = None
    """PEM file with its key, without passphrase. These files are read again when they change."""
    tls_client_ca: Path | None = None
    """PEM file of CAs: callers must show a certificate that one of them signed (mTLS), on every port but health's."""
    handshake_seconds: float = Field(default=20.0, gt=0)
    """Longest until a connection is ready for calls (TLS, HTTP/2), of a question about health, of a whole scrape."""
    max_connections: int = Field(default=1024, ge=1)
    """Most connections to a gRPC port; further ones are closed at once. As many may watch its health."""
    max_streams: int = Field(default=1024, ge=1)
    """Most calls under way on one connection; further ones wait at the caller."""
    connection_idle_seconds: float = Field(default=3600.0, gt=0)
    """Seconds after which a connection without calls is closed; well above the half hour of most gRPC clients."""
    connection_age_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which a connection takes no new calls, so that its caller opens another; for ever when not set."""
    connection_grace_seconds: float = Field(default=60.0, gt=0)
    """Seconds that the calls of such a connection have to end."""
    drain_delay_seconds: float = Field(default=0.0, ge=0)
    """Seconds a server that got SIGTERM still takes calls while its NOT_SERVING spreads; 5 on Kubernetes."""
    drain_timeout_seconds: float = Field(default=30.0, ge=0)
    """Seconds it then waits for calls under way before it cancels them."""
    max_message_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    """Largest message of either direction, in bytes; what is larger ends with RESOURCE_EXHAUSTED."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe log line that is written."""
    log_format: Literal["text", "json"] = "text"
    """Log lines for a person or for a collector; both go to standard error."""
    call_log: CallLog = "faults"
    """Calls that leave a line in the log: `all`, `faults` (those whose end the server is to blame for) or `none`."""
    traces_endpoint: Annotated[str, AfterValidator(_check_endpoint)] = ""
    """Where traces go, a receiver of OTLP over gRPC: `host:port` in plain text, `https://host:port` with TLS."""
    traces_sample_ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of the calls that are traced, of those whose caller has not decided that; 0 to 1."""

    @property
    def receive_bytes(self) -> int:
        """Largest request that is taken."""
        return self.max_message_bytes

    @property
    def reflects(self) -> bool:
        """Whether reflection is offered: to those on this machine, if nobody decided."""
        return is_loopback(self.host) if self.reflection is None else self.reflection

    def check_exposure(self) -> None:
        """Has it said aloud when whoever reaches the server may use it, or read what others send.

        Raises:
            ConfigurationError: `host` is not loopback, and nothing protects what listens there.
        """
        if self.allow_insecure or is_loopback(self.host) or not (missing := self.missing_protection()):
            return
        raise ConfigurationError(
            f"DIPTYCH_HOST is {self.host}, where others may reach this server: set {', '.join(missing)}; or listen on "
            "127.0.0.1; or, in a network that you trust, set DIPTYCH_ALLOW_INSECURE=true"
        )

    def missing_protection(self) -> list[str]:
        """The variables that are not set and must be where others reach the server: encryption, and who may call."""
        needed = ("tls_certificate", "tls_key", "tls_client_ca")
        return [f"DIPTYCH_{name}".upper() for name in needed if getattr(self, name) is None]


class ModelServiceSettings(ServerSettings):
    """What a model service adds: its model, its device and its queue."""

    model_directory: Path
    """Folder with `model.toml` and the weights; a service's own class defaults it to the embedded model."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    """`auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` is bf16 where the hardware multiplies it natively, else fp32."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of the model; 0 leaves one of the CPUs that the service may use to its front end."""
    gpu_memory_fraction: float = Field(default=1.0, gt=0, le=1)
    """Of the GPU's memory that the model process may hold, so that several share a GPU; no meaning on a CPU."""
    max_queue_items: int = Field(default=256, ge=1)
    """Items that may wait; what does not fit is refused with RESOURCE_EXHAUSTED, or a caller with more gives way."""
    max_queue_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    """Bytes of the messages that may wait; one takes up to twice its bytes of the front end's memory."""
    hang_timeout_seconds: float = Field(default=30.0, gt=0)
    """Seconds of one batch after which the model process counts as hung and is replaced."""

    @property
    def receive_bytes(self) -> int:
        """Largest request that is taken: one that a gateway with the same settings took, and what it adds."""
        return self.max_message_bytes + LABELS_BYTES

    def runtime(self) -> RuntimeOptions:
        """The part that the model process needs."""
        return RuntimeOptions(
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            gpu_memory_fraction=self.gpu_memory_fraction,
        )


def settings_rows(settings: type[BaseSettings]) -> list[tuple[str, str, str]]:
    """Variable, default and meaning of each field, for `--help` and the README."""
    prefix: Any = settings.model_config.get("env_prefix", "")
    return [
        (
            f"{prefix}{name}".upper(),
            "required" if field.is_required() else str(field.get_default(call_default_factory=True)),
            field.description or "",
        )
        for name, field in settings.model_fields.items()
    ]
