"""Who a certificate says that calls, as gRPC tells it and as the standard library does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.rpc.peer import certificate_identity, peer_identity


class Context:
    """Of a call whose connection told this."""

    def __init__(self, told: Mapping[str, list[bytes]]) -> None:
        self._told = told

    def auth_context(self) -> Mapping[str, list[bytes]]:
        return self._told


@pytest.mark.parametrize(
    ("told", "identity"),
    [
        ({"x509_common_name": [b"alice"], "x509_subject_alternative_name": [b"a.example"]}, "alice"),
        ({"x509_common_name": [b""], "x509_subject_alternative_name": [b"spiffe://a/b", b"a.example"]}, "spiffe://a/b"),
        ({"transport_security_type": [b"ssl"]}, ""),
        ({}, ""),
    ],
)
def test_common_name_goes_before_other_names_and_no_certificate_is_nobody(
    told: Mapping[str, list[bytes]], identity: str
) -> None:
    assert peer_identity(Context(told)) == identity


@pytest.mark.parametrize(
    ("certificate", "identity"),
    [
        ({"subject": ((("countryName", "FR"),), (("commonName", "alice"),))}, "alice"),
        ({"subject": (), "subjectAltName": (("DNS", "a.example"), ("IP Address", "127.0.0.1"))}, "a.example"),
        ({}, ""),
        (None, ""),
    ],
)
def test_certificate_of_another_port_tells_the_same(certificate: Mapping[str, Any] | None, identity: str) -> None:
    assert certificate_identity(certificate) == identity
