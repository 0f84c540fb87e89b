"""The ends of TLS, made of followed files: whoever connects meets the newest certificate, and no connection ends."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from shared.rpc.certificates import CertificateFiles, Pem
from shared.rpc.followed_certificates import FollowedCertificates
from shared.settings import ServerSettings


def followed_server_certificates(settings: ServerSettings) -> FollowedCertificates | None:
    """The certificates of a server's ports; None without TLS.

    Raises:
        ConfigurationError: they cannot be used; names variable and file.
    """
    if settings.tls_certificate is None and settings.tls_key is None and settings.tls_client_ca is None:
        return None
    files = CertificateFiles(
        serves=True,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        ca=settings.tls_client_ca,
        certificate_name="DIPTYCH_TLS_CERTIFICATE",
        key_name="DIPTYCH_TLS_KEY",
        ca_name="DIPTYCH_TLS_CLIENT_CA",
    )
    return FollowedCertificates(files)


def followed_client_certificates(settings: ServerSettings, ca: Path | None) -> FollowedCertificates | None:
    """What a server that calls others shows them: its own certificate, if it has one; None for plain text.

    Args:
        settings: of the server that calls.
        ca: who signs the certificates of those that it calls.

    Raises:
        ConfigurationError: they cannot be used; names variable and file.
    """
    if ca is None:
        return None
    files = CertificateFiles(
        serves=False,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        ca=ca,
        certificate_name="DIPTYCH_TLS_CERTIFICATE",
        key_name="DIPTYCH_TLS_KEY",
        ca_name="DIPTYCH_SERVICES_CA",
    )
    return FollowedCertificates(files)


def channel_credentials(pem: Pem) -> grpc.ChannelCredentials:
    """Of one channel; with no CA those of gRPC's own list are trusted."""
    return grpc.ssl_channel_credentials(
        root_certificates=pem.ca or None,
        private_key=pem.key or None,
        certificate_chain=pem.certificate or None,
    )


def server_credentials(certificates: FollowedCertificates) -> grpc.ServerCredentials:
    """Of a gRPC port: each handshake gets what is newest; with a CA, callers must show a certificate of it."""
    told = certificates.pem

    def configuration() -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([(told.key, told.certificate)], told.ca or None)

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal told  # gRPC asks from threads of its own, one at a time
        if told is certificates.pem:
            return None
        told = certificates.pem
        return configuration()

    require = bool(told.ca)
    return grpc.dynamic_ssl_server_credentials(configuration(), changed, require)  # type: ignore[arg-type]  # None too


def server_context(certificates: FollowedCertificates) -> ssl.SSLContext:
    """The same for a port that is not gRPC's: one context for its whole life, which hands each handshake the newest."""
    first = certificates.pem.context
    assert first is not None
    front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.verify_mode = first.verify_mode
    front.options |= ssl.OP_NO_TICKET
    front.num_tickets = 0

    def newest(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        newest = certificates.pem.context
        assert newest is not None
        connection.context = newest

    front.sni_callback = newest
    return front
