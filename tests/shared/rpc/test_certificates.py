"""Certificates as files: what cannot be used is said in a line, what changes is read anew, what breaks is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from shared.errors import ConfigurationError
from shared.rpc import followed_certificates
from shared.rpc.certificates import CertificateFiles, read_pem
from shared.rpc.followed_certificates import FollowedCertificates
from tests.certificates import Authority, Leaf, Secret


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_certificates, "RELOAD_SECONDS", 0.01)


def files_of(leaf: Leaf, *, ca: Path | None = None, serves: bool = True) -> CertificateFiles:
    return CertificateFiles(
        serves=serves,
        certificate=leaf.certificate,
        key=leaf.key,
        ca=ca,
        certificate_name="CERTIFICATE",
        key_name="KEY",
        ca_name="CA",
    )


@pytest.mark.parametrize("purposes", [("server",), ("server", "client")])
def test_certificate_of_a_server_is_taken_for_one(authority: Authority, purposes: tuple[str, ...]) -> None:
    leaf = authority.leaf(purposes=purposes)
    pem = read_pem(files_of(leaf, ca=authority.path))
    assert pem.certificate == leaf.certificate.read_bytes()
    assert pem.context is not None
    assert 23 * 3600 < pem.expires - time.time() < 24 * 3600 + 60


def test_certificate_of_a_client_is_taken_for_one(authority: Authority) -> None:
    assert read_pem(files_of(authority.leaf(purposes=("client",)), serves=False)).context is None


def missing(authority: Authority) -> Leaf:
    return Leaf(certificate=Path("nowhere.pem"), key=authority.leaf().key)


def no_certificate(authority: Authority) -> Leaf:
    leaf = authority.leaf()
    return Leaf(certificate=leaf.key, key=leaf.key)


def half_a_certificate(authority: Authority) -> Leaf:
    leaf = authority.leaf()
    leaf.certificate.write_bytes(leaf.certificate.read_bytes()[:200])
    return leaf


def no_key(authority: Authority) -> Leaf:
    leaf = authority.leaf()
    return Leaf(certificate=leaf.certificate, key=leaf.certificate)


def key_of_another(authority: Authority) -> Leaf:
    return Leaf(certificate=authority.leaf().certificate, key=authority.leaf().key)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (missing, r"^CERTIFICATE: nowhere.pem: no such file or directory$"),
        (no_certificate, r"^CERTIFICATE: .*\.key: holds no certificate in PEM$"),
        (half_a_certificate, r"^CERTIFICATE: .*\.crt: holds no certificate in PEM$"),
        (no_key, r"^KEY: .*\.crt: holds no private key in PEM$"),
        (key_of_another, r"^KEY: .*\.key: is not the key of .*\.crt$"),
        (lambda ca: ca.with_passphrase(ca.leaf()), r"^KEY: .*\.key: has a passphrase; gRPC takes keys without$"),
        (lambda ca: ca.leaf(expired=True), r"^CERTIFICATE: .*\.crt: certificate has expired$"),
        (
            lambda ca: ca.leaf(key=ed25519.Ed25519PrivateKey.generate()),
            r"^KEY: .*\.key: is of a kind that gRPC cannot use; it takes RSA, P-256, P-384$",
        ),
        (
            lambda ca: ca.leaf(key=ec.generate_private_key(ec.SECP521R1())),
            r"^KEY: .*\.key: is of a kind that gRPC cannot use",
        ),
        (
            lambda ca: ca.leaf(purposes=("client",)),
            r"^CERTIFICATE: .*\.crt: unsuitable certificate purpose; it is to be a server's$",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    authority: Authority, make: Callable[[Authority], Leaf], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_pem(files_of(make(authority)))


def test_certificate_for_servers_alone_is_no_clients(authority: Authority) -> None:
    with pytest.raises(ConfigurationError, match="it is to be a client's"):
        read_pem(files_of(authority.leaf(purposes=("server",)), serves=False))


def test_ca_that_is_none_is_told(authority: Authority) -> None:
    leaf = authority.leaf()
    with pytest.raises(ConfigurationError, match=r"^CA: .*\.key: holds no certificate in PEM$"):
        read_pem(files_of(leaf, ca=leaf.key))


def test_expired_ca_is_told_and_one_beside_a_good_one_is_not(authority: Authority, tmp_path: Path) -> None:
    old = Authority(tmp_path, "old", expired=True)
    with pytest.raises(ConfigurationError, match=r"^CA: .*old\.pem: expired on "):
        read_pem(files_of(authority.leaf(), ca=old.path))
    both = tmp_path / "both.pem"
    both.write_bytes(old.path.read_bytes() + authority.path.read_bytes())
    read_pem(files_of(authority.leaf(), ca=both))


@pytest.mark.parametrize(("certificate", "key"), [(Path("a.pem"), None), (None, Path("a.key"))])
def test_certificate_and_key_are_set_both_or_none(certificate: Path | None, key: Path | None) -> None:
    with pytest.raises(ConfigurationError, match=r"is set, and .* is not; TLS needs both"):
        CertificateFiles(serves=True, certificate=certificate, key=key)


async def test_swapped_folder_is_read_anew(authority: Authority, tmp_path: Path, often: None) -> None:
    secret, new = Secret(tmp_path / "secret", authority.leaf(), authority), authority.leaf()
    files = CertificateFiles(serves=True, certificate=secret.certificate, key=secret.key, ca=secret.ca)
    async with asyncio.timeout(20), FollowedCertificates(files) as followed:
        before = followed.pem
        change = asyncio.create_task(followed.wait_for_change())
        await asyncio.sleep(0.05)
        assert followed.pem is before and not change.done()
        secret.replace(new, authority)
        await change
        assert followed.pem.certificate == new.certificate.read_bytes()
        assert followed.pem.key == new.key.read_bytes()
        assert followed.pem.context is not before.context


async def test_half_written_file_changes_nothing_and_is_told_once(
    authority: Authority, often: None, caplog: pytest.LogCaptureFixture
) -> None:
    leaf, new = authority.leaf(), authority.leaf()
    async with asyncio.timeout(20), FollowedCertificates(files_of(leaf)) as followed:
        before = followed.pem
        leaf.certificate.write_bytes(new.certificate.read_bytes()[:100])
        while not caplog.records:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        [record] = caplog.records
        assert record.levelno == logging.ERROR
        assert record.getMessage().endswith("holds no certificate in PEM; the one before stays in use")
        assert followed.pem is before
        leaf.certificate.write_bytes(new.certificate.read_bytes())  # its key is still that of the old one
        while len(caplog.records) < 2:
            await asyncio.sleep(0.01)
        assert "is not the key of" in caplog.records[1].getMessage()
        assert followed.pem is before
        change = asyncio.create_task(followed.wait_for_change())
        leaf.key.write_bytes(new.key.read_bytes())
        await change
        assert followed.pem.certificate == new.certificate.read_bytes()


async def test_file_that_goes_away_changes_nothing(
    authority: Authority, often: None, caplog: pytest.LogCaptureFixture
) -> None:
    leaf = authority.leaf()
    async with asyncio.timeout(20), FollowedCertificates(files_of(leaf)) as followed:
        before = followed.pem
        leaf.key.unlink()
        while not caplog.records:
            await asyncio.sleep(0.01)
        assert followed.pem is before
        assert "no such file or directory; the one before stays in use" in caplog.text


def test_key_is_in_no_repr(authority: Authority) -> None:
    leaf = authority.leaf()
    assert "PRIVATE KEY" not in repr(read_pem(files_of(leaf)))
