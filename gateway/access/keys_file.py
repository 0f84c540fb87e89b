"""The file of keys while the gateway runs: looked at again and again, and used as soon as it has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.access.key_access import KeyAccess
from gateway.access.keys import parse_keys, read_content
from gateway.metrics import AccessMetrics
from shared.errors import ConfigurationError

LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def key_access(
    file: Path, metrics: AccessMetrics, *, look_seconds: float = LOOK_SECONDS
) -> AsyncIterator[KeyAccess]:
    """Access by the keys of a file, and by those of what the file becomes, until it is left.

    Raises:
        ConfigurationError: the file is missing or broken; later, the keys before that stay in use.
    """
    content = read_content(file)
    access = KeyAccess(parse_keys(content, file), metrics)
    following = asyncio.create_task(_follow(file, content, access, metrics, look_seconds))
    try:
        yield access
    finally:
        following.cancel()
        await asyncio.wait([following])


async def _follow(file: Path, used: bytes, access: KeyAccess, metrics: AccessMetrics, look_seconds: float) -> None:
    """Looks at the bytes, not at times and inodes: a symbolic link may be swapped, and a clock is coarse.

    What two looks in a row have found alike is used: a file that is being written is not yet what it will be.
    """
    done: bytes | str = used
    last: bytes | str = used
    while True:
        await asyncio.sleep(look_seconds)
        before, last = last, await asyncio.to_thread(_look, file)
        if last == done or last != before:
            continue
        done = last
        try:
            if isinstance(last, str):
                raise ConfigurationError(last)
            ring = await asyncio.to_thread(parse_keys, last, file)  # a large file takes a fifth of a second
        except ConfigurationError as error:
            metrics.keys_outdated.set(1)
            _log.error("%s; the keys read before stay in use", error)
        else:
            access.use(ring)
            metrics.keys_outdated.set(0)
            _log.info("%s: %d keys in use", file, len(ring.keys))


def _look(file: Path) -> bytes | str:
    """The file's bytes, or why there are none."""
    try:
        return read_content(file)
    except ConfigurationError as error:
        return str(error)
