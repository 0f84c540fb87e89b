"""Keys for tests: files of them, and gateways that want them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.access.keys import SCOPES, Key, hash_of, new_key, told_entry
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import PATIENT, Platform, running_platform


def key_of(name: str, **terms: Any) -> tuple[str, Key]:
    """A new key, and what a file would have of it; every scope unless said otherwise."""
    secret = new_key()
    return secret, Key(**{"name": name, "sha256": hash_of(secret), "scopes": list(SCOPES), **terms})


def entry(key: Key) -> str:
    """The key as lines of a file."""
    told = key.model_dump(exclude_unset=True)
    return told_entry(told)


def write_keys(file: Path, *keys: Key) -> None:
    """A file of these keys."""
    file.write_text("\n".join(map(entry, keys)), "utf-8")


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a call with a key."""
    return (("authorization", f"Bearer {key}"),)


@asynccontextmanager
async def platform_with_keys(
    file: Path, *keys: Key, behaviours: dict[str, list[Behaviour]] | None = None, **settings: Any
) -> AsyncIterator[Platform]:
    """A gateway over fakes that wants these keys."""
    write_keys(file, *keys)
    wanted = PATIENT.model_copy(update={"keys_file": file, **settings})
    async with running_platform(wanted, **(behaviours or {})) as platform:
        yield platform


def throttled(platform: Platform, reason: str) -> float:
    """Calls that a gateway refused for a limit."""
    return platform.registry.get_sample_value("diptych_throttled_total", {"reason": reason}) or 0.0
