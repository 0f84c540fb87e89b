"""Two messages under way to one real model process: the second is its own, whatever becomes of the first."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.inference import messages
from shared.inference.model_process import LostError, ModelProcess, NeverReadError
from shared.inference.predictor import RuntimeOptions

LONG = 30.0


@asynccontextmanager
async def running() -> AsyncIterator[ModelProcess]:
    process = await ModelProcess.spawn()
    try:
        load = messages.Load(
            load="tests.fakes:load", directory=Path(), options=RuntimeOptions(), import_path=tuple(sys.path)
        )
        await process.ask(load, LONG)
        yield process
    finally:
        await process.close()


def asked(process: ModelProcess, *texts: str, seconds: float = LONG) -> asyncio.Task[Any]:
    return asyncio.create_task(process.ask(list(texts), seconds))


async def outputs(task: asyncio.Task[Any]) -> list[object]:
    return list((await task).outputs)


async def test_answers_come_in_the_order_of_the_messages() -> None:
    async with running() as process:
        first, second = asked(process, "sleep 0.1"), asked(process, "x" * 30_000_000)
        done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        assert done == {first}
        assert await outputs(second) == [30_000_000]


async def test_a_killed_process_has_never_read_the_second() -> None:
    async with running() as process:
        first, second = asked(process, "hang"), asked(process, "a")
        await asyncio.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(LostError, match="signal 9") as lost:
            await first
        assert not isinstance(lost.value, NeverReadError)
        with pytest.raises(NeverReadError, match="signal 9"):
            await second


async def test_a_process_that_hangs_in_the_first_has_never_read_the_second() -> None:
    async with running() as process:
        first, second = asked(process, "hang", seconds=0.2), asked(process, "a", seconds=0.2)
        with pytest.raises(LostError, match=r"hung for 0\.2 s"):
            await first
        with pytest.raises(NeverReadError):
            await second


async def test_the_seconds_time_begins_when_the_first_is_answered() -> None:
    async with running() as process:
        first, second = (asked(process, "sleep 0.6", seconds=1.0) for _ in range(2))
        await first
        await second


async def test_a_first_that_is_given_up_ends_the_process_and_leaves_the_second_unread() -> None:
    async with running() as process:
        first, second = asked(process, "sleep 5"), asked(process, "a")
        await asyncio.sleep(0.05)
        first.cancel()
        with pytest.raises(NeverReadError):
            await second


async def test_a_process_that_dies_in_the_second_has_answered_the_first() -> None:
    async with running() as process:
        first, second = asked(process, "aa"), asked(process, "die")
        assert await outputs(first) == [2]
        with pytest.raises(LostError) as lost:
            await second
        assert not isinstance(lost.value, NeverReadError)


async def test_what_cannot_be_sent_does_not_end_the_process() -> None:
    async with running() as process:
        with pytest.raises(Exception, match="pickle"):
            await process.ask(lambda: None, LONG)
        assert await outputs(asked(process, "a")) == [1]
