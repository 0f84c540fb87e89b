"""Calls without a pause while something else goes on, none of which may fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Asks until the condition is true."""
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def steady(call: Callable[[], Awaitable[object]], callers: int = 4) -> AsyncIterator[list[object]]:
    """Calls without a pause; the first that fails ends the test when it is left."""
    answers: list[object] = []

    async def call_on() -> None:
        while not over.is_set():
            answers.append(await call())

    over = asyncio.Event()
    callings = [asyncio.create_task(call_on()) for _ in range(callers)]
    try:
        yield answers
    finally:
        over.set()
    await asyncio.gather(*callings)
