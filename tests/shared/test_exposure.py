"""Which addresses nobody else can reach, and what a server needs to listen on others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from shared.errors import ConfigurationError
from shared.exposure import is_loopback
from shared.settings import ServerSettings


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1.2.3", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "LocalHost"]
)
def test_loopback_is_known_by_every_name(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "",
        "10.0.0.7",
        "128.0.0.1",
        "::2",
        "::ffff:10.0.0.7",
        "localhost.evil.example",
        "gateway",
        "127.1",
    ],
)
def test_all_else_may_be_reached(host: str) -> None:
    assert not is_loopback(host)


TLS = {"tls_certificate": Path("c.pem"), "tls_key": Path("k.pem")}
CALLERS = {"tls_client_ca": Path("ca.pem")}
KEYS = {"keys_file": Path("keys.toml")}


@pytest.mark.parametrize("settings", [ServerSettings, GatewaySettings])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_protection(settings: type[ServerSettings], host: str) -> None:
    settings(host=host).check_exposure()


@pytest.mark.parametrize("settings", [ServerSettings, GatewaySettings])
def test_operator_may_say_that_the_network_is_trusted(settings: type[ServerSettings]) -> None:
    settings(host="0.0.0.0", allow_insecure=True).check_exposure()


@pytest.mark.parametrize(
    ("settings", "given", "missing"),
    [
        (ServerSettings, {}, "DIPTYCH_TLS_CERTIFICATE, DIPTYCH_TLS_KEY, DIPTYCH_TLS_CLIENT_CA"),
        (ServerSettings, TLS, "DIPTYCH_TLS_CLIENT_CA"),
        (GatewaySettings, {}, "DIPTYCH_TLS_CERTIFICATE, DIPTYCH_TLS_KEY, DIPTYCH_KEYS_FILE or DIPTYCH_TLS_CLIENT_CA"),
        (GatewaySettings, KEYS, "DIPTYCH_TLS_CERTIFICATE, DIPTYCH_TLS_KEY"),
        (GatewaySettings, TLS, "DIPTYCH_KEYS_FILE or DIPTYCH_TLS_CLIENT_CA"),
    ],
)
def test_address_that_others_reach_is_refused_with_what_to_set(
    settings: type[ServerSettings], given: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        settings(host="10.0.0.7", **given).check_exposure()
    assert str(caught.value).startswith(
        f"DIPTYCH_HOST is 10.0.0.7, where others may reach this server: set {missing}; or "
    )
    assert str(caught.value).endswith("; or, in a network that you trust, set DIPTYCH_ALLOW_INSECURE=true")


@pytest.mark.parametrize(
    ("settings", "given"),
    [(ServerSettings, TLS | CALLERS), (GatewaySettings, TLS | CALLERS), (GatewaySettings, TLS | KEYS)],
)
def test_address_that_others_reach_is_fine_with_tls_and_known_callers(
    settings: type[ServerSettings], given: dict[str, Any]
) -> None:
    settings(host="0.0.0.0", **given).check_exposure()
