"""Which failures of a model process are forgiven, and which end the service."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from shared.errors import UnavailableError
from shared.inference.worker import PredictError
from tests.shared.inference.fronts import Front, serving

pytestmark = pytest.mark.timeout(60)


async def back(front: Front, restarts: int) -> None:
    """Waits for the last of so many restarts."""
    async with asyncio.timeout(20):
        while front.readiness != [True, *[False, True] * restarts]:
            await asyncio.sleep(0.01)


async def dies(front: Front) -> None:
    with pytest.raises(UnavailableError):
        await front.lengths("die")


async def test_the_second_failure_in_a_row_is_final(tmp_path: Path) -> None:
    async with serving("load_once", tmp_path) as front:
        with pytest.raises(UnavailableError):
            await front.lengths("die")
        assert await front.worker.failed() == f"{tmp_path / 'model.toml'}: gone"
        with pytest.raises(UnavailableError, match="gone"):
            await front.lengths("a")
        assert front.readiness == [True, False]
        assert front.restarts == 1


async def test_a_process_that_dies_in_every_batch_is_given_up_though_it_warms_up_well() -> None:
    async with serving() as front:
        await dies(front)
        await back(front, 1)
        await dies(front)
        assert "exit code 3" in await asyncio.wait_for(front.worker.failed(), 20)
        assert front.restarts == 1


async def test_a_good_batch_makes_good_for_a_failure() -> None:
    async with serving() as front:
        for restarts in (1, 2, 3):
            await dies(front)
            await back(front, restarts)
            assert await front.lengths("a") == [1]


async def test_a_process_that_is_killed_while_idle_is_replaced_however_often() -> None:
    async with serving() as front:
        for restarts in (1, 2, 3):
            os.kill(front.pid, signal.SIGKILL)
            await back(front, restarts)
        assert await front.lengths("a") == [1]


async def test_a_model_that_breaks_in_every_life_is_given_up_though_no_batch_kills_it() -> None:
    """Each life answers fifteen batches with an exception; with the next it fails the check of the model itself."""
    async with serving() as front:
        for restarts in (1, 2):
            for text in ("break", *"abcdefghijklmn"):
                with pytest.raises(PredictError):
                    await front.lengths(text)
            with pytest.raises(UnavailableError):
                await front.lengths("o")
            if restarts == 1:
                await back(front, restarts)
        await asyncio.wait_for(front.worker.failed(), 20)
