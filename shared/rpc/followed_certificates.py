"""Certificates that are replaced on disk while they are in use: looked at again and again, taken when they are good."""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from shared.errors import ConfigurationError
from shared.rpc.certificates import CertificateFiles, Pem, read_pem, untried

RELOAD_SECONDS = 1.0
"""Between two looks at the files. Their bytes are compared, so that no clock and no symlink deceives."""

_log = logging.getLogger(__name__)


class FollowedCertificates:
    """Files that are read again when they change; inside `async with` it looks every second.

    What cannot be used is logged, and the last that could be stays.

    Raises:
        ConfigurationError: as `read_pem`.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self.pem = read_pem(files)
        """The newest that can be used; another object after each change."""
        self._fault = ""
        """Of the last look; told when the next one finds it again, since files are not written all at once."""
        self._told = ""
        self._change = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def wait_for_change(self) -> None:
        """Returns when `pem` has become another one."""
        await self._change.wait()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(RELOAD_SECONDS)
            if (found := await asyncio.to_thread(self._read_again)) is not None:
                self.pem = found
                _log.info("%s was read anew", self._files.certificate or self._files.ca)
                self._change.set()
                self._change = asyncio.Event()

    def _read_again(self) -> Pem | None:
        """What is new; None where nothing is, or nothing that can be used."""
        try:
            pem = None if untried(self._files) == self.pem else read_pem(self._files)
        except ConfigurationError as error:
            before, self._fault = self._fault, str(error)
            if before == self._fault != self._told:
                self._told = self._fault
                _log.error("%s; the one before stays in use", error)
            return None
        self._fault = self._told = ""
        return pem
