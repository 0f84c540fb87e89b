"""Certificates, keys and CAs as files: read, and tried before anybody meets them; knows no gRPC."""

from __future__ import annotations

import contextlib
import ssl
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from shared.errors import ConfigurationError

_KEYS_OF_GRPC = {
    "RSA": bytes.fromhex("06092a864886f70d010101"),
    "P-256": bytes.fromhex("06082a8648ce3d030107"),
    "P-384": bytes.fromhex("06052b81040022"),
}
"""The kinds of keys that gRPC makes handshakes with, as a certificate in DER names them. Of others, such as Ed25519 and
P-521, it says nothing, and ends each connection."""


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """What one end of TLS is made of, as PEM files; a certificate and its key are there both or not at all."""

    serves: bool
    """Whether it is the end that is called."""
    certificate: Path | None = None
    """The own certificate, then those between it and its CA."""
    key: Path | None = None
    ca: Path | None = None
    """Who may sign the certificates of the other end."""
    certificate_name: str = "certificate"
    """What whoever set the path calls it; likewise below."""
    key_name: str = "private key"
    ca_name: str = "CA"

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            there, missing = (
                (self.key_name, self.certificate_name)
                if self.certificate is None
                else (self.certificate_name, self.key_name)
            )
            raise ConfigurationError(f"{there} is set, and {missing} is not; TLS needs both")
        if self.serves and self.certificate is None:
            raise ConfigurationError(
                f"{self.ca_name} is set, and {self.certificate_name} is not; without TLS nobody is asked"
            )


@dataclass(frozen=True, kw_only=True)
class Pem:
    """The files' contents, tried; empty for files that are not set."""

    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    ca: bytes = b""
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    """The same for ports that are not gRPC's; None at the end that calls."""
    expires: float = field(default=0.0, compare=False)
    """When the own certificate does, in seconds since 1970; 0 without one."""


def read_pem(files: CertificateFiles) -> Pem:
    """Reads and tries the files.

    Raises:
        ConfigurationError: one is missing or no PEM, the key belongs to another certificate or has a passphrase, the
            certificate has expired or cannot be used at this end; names the file.
    """
    pem = untried(files)
    writing = ConfigurationError(f"{files.certificate or files.ca} and what belongs to it are being written")
    try:
        _check_ca(files)
        if files.certificate is not None:
            expires = _tried(files)
            pem = replace(pem, expires=expires, context=_server_context(files) if files.serves else None)
    except OSError:  # gone since it was read
        raise writing from None
    if untried(files) != pem:
        raise writing
    return pem


def untried(files: CertificateFiles) -> Pem:
    """What the files hold now, whatever it is; raises ConfigurationError where one cannot be read."""
    return Pem(
        certificate=_read(files.certificate, files.certificate_name),
        key=_read(files.key, files.key_name),
        ca=_read(files.ca, files.ca_name),
    )


def _read(path: Path | None, name: str) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name}: {path}: {(error.strerror or str(error)).lower()}") from None


def _check_ca(files: CertificateFiles) -> None:
    if files.ca is None:
        return
    if not _is_certificate(files.ca):
        raise ConfigurationError(f"{files.ca_name}: {files.ca}: holds no certificate in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files.ca)
    ends = [str(each["notAfter"]) for each in context.get_ca_certs()]
    if ends and all(ssl.cert_time_to_seconds(end) < time.time() for end in ends):
        raise ConfigurationError(f"{files.ca_name}: {files.ca}: expired on {max(ends, key=ssl.cert_time_to_seconds)}")


def _is_certificate(path: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        return False
    return True


def _tried(files: CertificateFiles) -> float:
    """When the own certificate expires; a peer that trusts nothing else has accepted it.

    A handshake in memory, since the standard library tells a certificate's dates and purposes in no other way.
    """
    assert files.certificate is not None
    served, called = _own_context(files, ssl.PROTOCOL_TLS_SERVER), _own_context(files, ssl.PROTOCOL_TLS_CLIENT)
    called.check_hostname = False
    called.verify_mode = ssl.CERT_NONE
    doubter = called if files.serves else served
    try:
        doubter.load_verify_locations(files.certificate)
        doubter.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        doubter.verify_mode = ssl.CERT_REQUIRED
        ends = _shake_hands(served, called)
    except ssl.SSLCertVerificationError as error:
        end = f"; it is to be a {'server' if files.serves else 'client'}'s" if "purpose" in error.verify_message else ""
        told = f"{files.certificate_name}: {files.certificate}: {error.verify_message}{end}"
        raise ConfigurationError(told) from None
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ConfigurationError(f"{files.certificate_name}: {files.certificate}: {reason}") from None
    shown, der = ends[doubter].getpeercert() or {}, ends[doubter].getpeercert(binary_form=True) or b""
    if not any(kind in der for kind in _KEYS_OF_GRPC.values()):
        told = f"is of a kind that gRPC cannot use; it takes {', '.join(_KEYS_OF_GRPC)}"
        raise ConfigurationError(f"{files.key_name}: {files.key}: {told}")
    return ssl.cert_time_to_seconds(str(shown["notAfter"]))


def _server_context(files: CertificateFiles) -> ssl.SSLContext:
    """What a port that is not gRPC's asks of its callers and shows them, as gRPC does."""
    context = _own_context(files, ssl.PROTOCOL_TLS_SERVER)
    if files.ca is not None:
        context.load_verify_locations(files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    # Who resumes a session is not asked for a certificate again, whatever has become of the CA.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def _own_context(files: CertificateFiles, protocol: int) -> ssl.SSLContext:
    """With the own certificate and key, neither of them tried.

    Raises:
        ConfigurationError: they are none, or do not belong together.
    """
    assert files.certificate is not None
    context = ssl.SSLContext(protocol)

    def refuse() -> str:
        raise ConfigurationError(f"{files.key_name}: {files.key}: has a passphrase; gRPC takes keys without")

    try:
        context.load_cert_chain(files.certificate, files.key, refuse)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f"{files.key_name}: {files.key}: is not the key of {files.certificate}"
        elif not _is_certificate(files.certificate):
            told = f"{files.certificate_name}: {files.certificate}: holds no certificate in PEM"
        else:
            told = f"{files.key_name}: {files.key}: holds no private key in PEM"
        raise ConfigurationError(told) from None
    return context


def _shake_hands(served: ssl.SSLContext, called: ssl.SSLContext) -> dict[ssl.SSLContext, ssl.SSLObject]:
    """Two ends that have met, by their contexts."""
    to_served, to_called = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = {
        called: called.wrap_bio(to_called, to_served),
        served: served.wrap_bio(to_served, to_called, server_side=True),
    }
    under_way = list(ends.values())
    while under_way:
        for end in tuple(under_way):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                under_way.remove(end)
    return ends
