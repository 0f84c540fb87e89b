"""Targets as operators write them."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.rpc.resolver import parse_targets, resolve


def test_list_is_split_at_commas() -> None:
    assert parse_targets("a:1, dns:///b:2,[::1]:3") == ("a:1", "dns:///b:2", "[::1]:3")


@pytest.mark.parametrize("text", ["", " , ", "host", "host:", ":1", "host:zero", "host:0", "host:65536", "dns:///:1"])
def test_target_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_targets(text)


async def test_plain_address_stands_as_it_is() -> None:
    assert await resolve("some-host:1") == ["some-host:1"]


async def test_name_stands_for_its_addresses() -> None:
    assert "127.0.0.1:1" in await resolve("dns:///localhost:1")


@pytest.mark.parametrize("name", ["a..b", "no-such-host.invalid"])
async def test_name_that_does_not_resolve_comes_with_a_reason(name: str) -> None:
    with pytest.raises(LookupError, match=r"\w"):
        await resolve(f"dns:///{name}:1")
