"""The Python client over TLS: what it trusts, who it is, and what it says when it comes to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.client import AsyncDiptych, Diptych, Tls
from gateway.client.retries import GatewayUnreachableError
from shared.errors import ConfigurationError
from tests.certificates import Authority
from tests.gateway.fake_gateway import Running


def own(authority: Authority) -> Tls:
    leaf = authority.leaf("alice")
    return Tls(ca=authority.path, certificate=leaf.certificate, private_key=str(leaf.key))


def test_blocking_client_calls_over_mutual_tls(tls_gateway: Running, authority: Authority) -> None:
    with Diptych(tls_gateway.address, tls=own(authority)) as diptych:
        assert diptych.text_to_image("a cat", seed=7)[0].seed == 7


async def test_async_client_calls_over_mutual_tls(tls_gateway: Running, authority: Authority) -> None:
    async with AsyncDiptych(tls_gateway.address, tls=own(authority)) as diptych:
        assert [picture.seed async for _, picture in diptych.stream_text_to_image("a cat", seed=7)] == [7]


def test_who_speaks_plain_text_to_a_gateway_with_tls_is_told_what_may_be_missing(tls_gateway: Running) -> None:
    with Diptych(tls_gateway.address, retries=0, timeout=20) as diptych:
        with pytest.raises(GatewayUnreachableError, match=r"\(it ended the connection; it may want TLS, or a certif"):
            diptych.text_to_image("a cat")


@pytest.mark.parametrize("case", ["plain text", "no certificate", "public CAs", "foreign CA"])
def test_gateway_that_is_not_trusted_or_trusts_not_is_unreachable(
    tls_gateway: Running, authority: Authority, tmp_path: Path, case: str
) -> None:
    tls = {
        "plain text": None,
        "no certificate": Tls(ca=authority.path),
        "public CAs": Tls(),
        "foreign CA": Tls(ca=Authority(tmp_path, "foreign").path),
    }[case]
    with Diptych(tls_gateway.address, tls=tls, retries=0, timeout=20) as diptych:
        with pytest.raises(GatewayUnreachableError, match=f"no gateway answers at {tls_gateway.address} \\("):
            diptych.text_to_image("a cat")


def test_files_that_cannot_be_used_are_told_before_any_call(authority: Authority) -> None:
    leaf, other = authority.leaf(), authority.leaf()
    with pytest.raises(ConfigurationError, match=r"^CA: nowhere\.pem: no such file or directory$"):
        Diptych(tls=Tls(ca="nowhere.pem"))
    with pytest.raises(ConfigurationError, match="is not the key of"):
        AsyncDiptych(tls=Tls(certificate=leaf.certificate, private_key=other.key))
    with pytest.raises(ConfigurationError, match=r"^certificate is set, and private key is not"):
        Diptych(tls=Tls(certificate=leaf.certificate))
