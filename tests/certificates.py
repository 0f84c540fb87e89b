"""A certificate authority in a folder, and folders that are swapped as Kubernetes swaps those of secrets."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = dt.timedelta(hours=1)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path

    @property
    def serial(self) -> int:
        """What tells it from others."""
        return serial_of(self.certificate.read_text())


def serial_of(pem: str) -> int:
    """The serial number of a certificate."""
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


class Authority:
    """Signs certificates; its own is `path`."""

    def __init__(self, folder: Path, name: str = "ca", *, expired: bool = False) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._made = 0
        self.path = folder / f"{name}.pem"
        certificate = (
            _builder(self._name, self._name, self._key, expired)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def leaf(
        self,
        name: str = "leaf",
        *,
        dns: tuple[str, ...] = ("localhost",),
        addresses: tuple[str, ...] = ("127.0.0.1",),
        expired: bool = False,
        purposes: tuple[str, ...] = ("server", "client"),
        key: Key | None = None,
    ) -> Leaf:
        """A new certificate for these names; `name` is its common name."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in dns]
        names += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        builder = _builder(subject, self._name, key, expired)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[each] for each in purposes]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        self._made += 1
        stem = self._folder / f"{self.path.stem}-{self._made}"
        leaf = Leaf(certificate=stem.with_suffix(".crt"), key=stem.with_suffix(".key"))
        leaf.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        leaf.key.write_bytes(_key_bytes(key, serialization.NoEncryption()))
        return leaf

    def with_passphrase(self, leaf: Leaf) -> Leaf:
        """The same, its key encrypted."""
        key: Any = serialization.load_pem_private_key(leaf.key.read_bytes(), None)
        path = leaf.key.with_suffix(".locked.key")
        path.write_bytes(_key_bytes(key, serialization.BestAvailableEncryption(b"secret")))
        return Leaf(certificate=leaf.certificate, key=path)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, expired: bool) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * HOUR)
        .not_valid_after(now - HOUR if expired else now + 24 * HOUR)
    )


def _key_bytes(key: Key, encryption: serialization.KeySerializationEncryption) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


class Secret:
    """A folder as Kubernetes mounts a secret: its files are links into `..data`, a link that is swapped for another."""

    def __init__(self, folder: Path, leaf: Leaf, *cas: Authority) -> None:
        self._folder = folder
        self._versions = 0
        folder.mkdir()
        self.replace(leaf, *cas)
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (folder / name).symlink_to(f"..data/{name}")

    @property
    def certificate(self) -> Path:
        return self._folder / "tls.crt"

    @property
    def key(self) -> Path:
        return self._folder / "tls.key"

    @property
    def ca(self) -> Path:
        return self._folder / "ca.crt"

    def server(self) -> dict[str, Any]:
        """The settings of a server with TLS."""
        return {"tls_certificate": self.certificate, "tls_key": self.key}

    def mutual(self) -> dict[str, Any]:
        """The settings of a server that asks for certificates as well."""
        return {**self.server(), "tls_client_ca": self.ca}

    def replace(self, leaf: Leaf, *cas: Authority) -> None:
        """Puts another certificate in the place of the one before, all files at once."""
        self._versions += 1
        version = self._folder / f"..version_{self._versions}"
        version.mkdir()
        (version / "tls.crt").write_bytes(leaf.certificate.read_bytes())
        (version / "tls.key").write_bytes(leaf.key.read_bytes())
        (version / "ca.crt").write_bytes(b"".join(each.path.read_bytes() for each in cas))
        link = self._folder / "..data_tmp"
        link.symlink_to(version.name)
        os.replace(link, self._folder / "..data")


def shown_serial(host: str, port: int, own: Leaf | None = None) -> int:
    """The serial number of the certificate that a port shows now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if own is not None:
        context.load_cert_chain(own.certificate, own.key)
    with socket.create_connection((host, port), timeout=20) as raw, context.wrap_socket(raw) as connection:
        shown = connection.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number
