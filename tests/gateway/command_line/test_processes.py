"""One supervised process: its output, its deaths, its end."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.command_line import processes
from gateway.command_line.processes import ProcessFailedError, Program, ServerProcess


@asynccontextmanager
async def _running(folder: Path, *arguments: str) -> AsyncIterator[tuple[ServerProcess, list[str], asyncio.Task[None]]]:
    """A supervised fake program, the lines about it, and its supervision."""
    lines: list[str] = []
    program = Program(
        name="fake",
        module="tests.gateway.command_line.fake_program",
        arguments=arguments,
        environment={},
        log_file=folder / "fake.log",
    )
    process = ServerProcess(
        program, on_line=lambda name, line: lines.append(line), on_event=lambda name, line: lines.append(line)
    )
    supervision = asyncio.create_task(process.supervise())
    try:
        yield process, lines, supervision
    finally:
        process.kill()
        supervision.cancel()
        await asyncio.gather(supervision, return_exceptions=True)


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_output_goes_to_the_log_file_and_line_by_line_to_the_caller(tmp_path: Path) -> None:
    async with _running(tmp_path, "sleep") as (process, lines, _):
        await _until(lambda: lines)
        assert lines == ["ready"]
        assert process.program.log_file.read_text() == "ready\n"


async def test_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    async with _running(tmp_path, "sleep") as (process, lines, _):
        await _until(lambda: lines == ["ready"])
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        await _until(lambda: lines.count("ready") == 2)
        assert "died with SIGKILL; starting it again in 0.5 s" in lines


async def test_wrong_configuration_is_not_tried_again(tmp_path: Path) -> None:
    async with _running(tmp_path, "exit", "2") as (_, lines, supervision):
        with pytest.raises(ProcessFailedError, match="fake cannot start: last words of exit 2"):
            await asyncio.wait_for(supervision, 30)
        assert lines.count("ready") == 1


async def test_process_that_dies_again_and_again_is_given_up_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "FIRST_BACKOFF_SECONDS", 0.01)
    async with _running(tmp_path, "exit", "1") as (_, _, supervision):
        expected = "fake died 4 times in a row, at last with exit code 1: last words of exit 1"
        with pytest.raises(ProcessFailedError, match=expected):
            await asyncio.wait_for(supervision, 30)


async def test_stopped_process_is_not_started_again(tmp_path: Path) -> None:
    async with _running(tmp_path, "sleep") as (process, lines, supervision):
        await _until(lambda: lines)
        await process.stop()
        await asyncio.wait_for(supervision, 30)
        assert process.pid is None


async def test_process_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.2)
    async with _running(tmp_path, "stubborn") as (process, lines, supervision):
        await _until(lambda: "deaf" in lines)
        await process.stop()
        await asyncio.wait_for(supervision, 30)
        assert lines[-1] == "did not stop within 0.2 s; killed"
