"""How requests reach a peer: what the transports have in common."""

from __future__ import annotations

from typing import Protocol

from tests.benchmarks.load.client import Ending


class Send(Protocol):
    """One exchange on connections that are open."""

    async def __call__(self, payload: bytes, seconds: float | None) -> tuple[Ending, bytes]:
        """How it ended, and what came back, which holds the answer's bytes; gives up after `seconds`.

        Raises whatever broke, for endings that no fair run has.
        """
