"""Who is at the other end of a connection, where mTLS says so; verified, unlike what a call's metadata claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Authenticated(Protocol):
    """What grpc.aio's servicer contexts are."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What the transport found out about the peer."""


def peer_identity(context: Authenticated) -> str:
    """The common name of the caller's certificate, else its first alternative name; empty without mTLS.

    A server that asks for certificates (`DIPTYCH_TLS_CLIENT_CA`) takes none but those that its CA signed, so that the
    name is what that CA vouches for.
    """
    found = context.auth_context()
    names = (*found.get("x509_common_name", ()), *found.get("x509_subject_alternative_name", ()))
    return next((name.decode(errors="replace") for name in names if name), "")


def certificate_identity(certificate: Mapping[str, Any] | None) -> str:
    """The same of what `ssl.SSLSocket.getpeercert` returns: for ports that are not gRPC's."""
    found = certificate or {}
    subject = [value for part in found.get("subject", ()) for key, value in part if key == "commonName"]
    names = (*subject, *(value for _, value in found.get("subjectAltName", ())))
    return next((str(name) for name in names if name), "")
