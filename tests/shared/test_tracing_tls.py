"""Spans on their way to a receiver over TLS."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from shared.tracing import Tracer
from tests.certificates import Authority
from tests.otlp_receiver import receiving


def credentials(authority: Authority) -> grpc.ServerCredentials:
    """Of a receiver that this authority vouches for."""
    leaf = authority.leaf()
    return grpc.ssl_server_credentials([(leaf.key.read_bytes(), leaf.certificate.read_bytes())])


async def sent(endpoint: str) -> None:
    """A span, and the stop that sends it."""
    tracer = Tracer(endpoint, sample_ratio=1.0, resource={"service.name": "diptych-test"})
    tracer.start("call", "server", parent=None, attributes={}).end()
    await tracer.close()


async def test_https_is_tls_to_a_receiver_whose_certificate_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.path))
    with receiving(credentials(authority)) as receiver:
        await sent(f"https://{receiver.endpoint}")
        assert [span.name for span in receiver.spans] == ["call"]


async def test_a_receiver_that_nobody_vouches_for_gets_no_spans(tmp_path: Path) -> None:
    with receiving(credentials(Authority(tmp_path))) as receiver:
        await sent(f"https://{receiver.endpoint}")
        assert receiver.spans == []
