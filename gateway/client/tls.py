"""TLS to a gateway, as a client asks for it: whom to trust, and who one is."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import grpc

from shared.rpc.certificates import CertificateFiles, read_pem
from shared.rpc.credentials import channel_credentials


@dataclass(frozen=True, kw_only=True)
class Tls:
    """PEM files. They are read when the client is made; a client made later reads them anew."""

    ca: str | PathLike[str] | None = None
    """CAs that may have signed the gateway's certificate; gRPC's own list of public ones when absent."""
    certificate: str | PathLike[str] | None = None
    """Our own, where the gateway asks for one (mTLS), with those between it and its CA."""
    private_key: str | PathLike[str] | None = None
    """Its key, without passphrase."""

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        files = CertificateFiles(
            serves=False, certificate=_path(self.certificate), key=_path(self.private_key), ca=_path(self.ca)
        )
        return channel_credentials(read_pem(files))


def _path(name: str | PathLike[str] | None) -> Path | None:
    return None if name is None else Path(name)
