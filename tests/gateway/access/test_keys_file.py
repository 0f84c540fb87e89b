"""The file of keys while a gateway runs: what it becomes is used, unless it is broken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TextIO

import pytest
from prometheus_client import CollectorRegistry

from gateway.access.key_access import KeyAccess
from gateway.access.keys import Key
from gateway.access.keys_file import key_access
from gateway.metrics import AccessMetrics
from gateway.ports import SERVICE
from shared.errors import ConfigurationError, UnauthenticatedError
from shared.rpc.access import no_identity
from tests.gateway.access.given_keys import bearer, entry, key_of, write_keys

LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 20.0


def lets_in(access: KeyAccess, secret: str) -> bool:
    """Whether a key is good."""
    try:
        access.check(f"{SERVICE}/TextToImage", bearer(secret), no_identity)
    except UnauthenticatedError:
        return False
    return True


async def until(condition: Callable[[], object]) -> None:
    """Returns once it holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(LOOK_SECONDS)


@contextmanager
def writing(file: Path) -> Iterator[TextIO]:
    """A file that is written in place, from its beginning."""
    with file.open("w", encoding="utf-8") as opened:
        yield opened


class Ground:
    """A file with one key."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keys.toml"
        self.registry = CollectorRegistry()
        self.metrics = AccessMetrics(self.registry)
        self.old, self.old_key = key_of("shop")
        self.new, self.new_key = key_of("shop-2")
        write_keys(self.file, self.old_key)

    def following(self) -> AbstractAsyncContextManager[KeyAccess]:
        """Access by the file, looked at often."""
        return key_access(self.file, self.metrics, look_seconds=LOOK_SECONDS)

    @property
    def outdated(self) -> bool:
        """What the metric says."""
        return self.registry.get_sample_value("diptych_keys_outdated") == 1


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """A file with one key."""
    return Ground(tmp_path)


async def test_changed_file_is_used(ground: Ground) -> None:
    async with ground.following() as access:
        assert lets_in(access, ground.old) and not lets_in(access, ground.new)
        write_keys(ground.file, ground.old_key, ground.new_key)
        await until(lambda: lets_in(access, ground.new))
        write_keys(ground.file, ground.new_key)
        await until(lambda: not lets_in(access, ground.old))
        assert lets_in(access, ground.new)


async def test_file_behind_a_symbolic_link_is_followed_when_the_link_is_swapped(tmp_path: Path) -> None:
    """As Kubernetes does it with a mounted Secret: the folder behind two links is another one."""
    ground = Ground(tmp_path)
    for folder, key in (("v1", ground.old_key), ("v2", ground.new_key)):
        (tmp_path / folder).mkdir()
        write_keys(tmp_path / folder / "keys.toml", key)
    (tmp_path / "..data").symlink_to("v1")
    ground.file.unlink()
    ground.file.symlink_to("..data/keys.toml")
    async with ground.following() as access:
        assert lets_in(access, ground.old)
        (tmp_path / "..tmp").symlink_to("v2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await until(lambda: lets_in(access, ground.new))
        assert not lets_in(access, ground.old)


@pytest.mark.parametrize("broken", ["[[keys]", "[[keys]]\nname = 1\n", None])
async def test_broken_or_missing_file_keeps_the_keys_and_says_so_once(
    ground: Ground, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with ground.following() as access:
        assert not ground.outdated
        before = ground.file.read_text()
        if broken is None:
            ground.file.unlink()
        else:
            ground.file.write_text(broken)
        await until(lambda: ground.outdated)
        await asyncio.sleep(10 * LOOK_SECONDS)
        assert lets_in(access, ground.old)
        errors = [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR]
        assert len(errors) == 1
        assert errors[0].startswith(f"{ground.file}: ") and errors[0].endswith("; the keys read before stay in use")
        ground.file.write_text(before)
        await until(lambda: not ground.outdated)
        assert lets_in(access, ground.old)


async def test_file_that_is_being_written_is_not_used_before_it_is_whole(ground: Ground) -> None:
    """Its first half would be a file of keys, too: of fewer."""
    async with ground.following() as access:
        with writing(ground.file) as written:
            for part in (entry(ground.new_key), *("# the next one is the old one\n" * 10), entry(ground.old_key)):
                written.write(part)
                written.flush()
                assert lets_in(access, ground.old)
                await asyncio.sleep(LOOK_SECONDS / 10)
        write_keys(ground.file, ground.new_key, ground.old_key)
        await until(lambda: lets_in(access, ground.new))
        assert lets_in(access, ground.old)


@pytest.mark.parametrize("content", [None, "[[keys]", '[[keys]]\nname = "x"\n'])
async def test_start_without_a_good_file_is_refused(ground: Ground, content: str | None) -> None:
    ground.file.unlink()
    if content is not None:
        ground.file.write_text(content)
    with pytest.raises(ConfigurationError, match=str(ground.file)):
        async with ground.following():
            pass


async def test_certificates_come_and_go_with_the_file(ground: Ground) -> None:
    async with ground.following() as access:

        def known() -> bool:
            try:
                access.check(f"{SERVICE}/TextToImage", (), lambda: "shop.internal")
            except UnauthenticatedError:
                return False
            return True

        assert not known()
        write_keys(ground.file, Key(name="shop", identity="shop.internal", scopes=["generate"]))
        await until(known)
        write_keys(ground.file, ground.old_key)
        await until(lambda: not known())
