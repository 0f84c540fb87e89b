"""What a Host header may be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from gateway.web.names import names_for


def test_on_loopback_only_its_names_are_answered_to() -> None:
    names = names_for("::1")
    assert names == names_for("localhost") and str(names) == "127.0.0.1, [::1], localhost"
    assert "127.0.0.9:80" in names_for("127.0.0.9") and "127.0.0.9:80" not in names and "10.0.0.7" not in names


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.local"])
def test_elsewhere_addresses_are_answered_to_as_well(host: str) -> None:
    names = names_for(host, frozenset({"pictures.example"}))
    assert all(each in names for each in ("localhost", "10.0.0.7:80", "[::1]:80", "pictures.example"))
    assert "evil.example" not in names and ("gateway.local" in names) == (host == "gateway.local")


@pytest.mark.parametrize("name", ["http://pictures.example", "pictures.example:80", "pictures.example/", "a b"])
def test_name_with_more_than_a_name_is_an_error_of_configuration(name: str) -> None:
    with pytest.raises(ValidationError, match="is no host name; give it without scheme, port and path"):
        GatewaySettings(web_names=name)
