"""Long runs whose answers come too late, and pictures that change between two runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gateway.command_line.console import ExitCode
from shared.codes import Reason
from shared.errors import DeadlineExceededError, InternalError
from tests.gateway.command_line.command import diptych, records, work
from tests.gateway.fake_gateway import Running

LATE = DeadlineExceededError("slow", reason=Reason.DEADLINE_PASSED)


def test_gateway_that_hangs_ends_the_run_after_a_few_inputs(gateway: Running, folder: Path) -> None:
    gateway.behaviour.errors = [LATE] * 100
    result = diptych("image-to-text", "in", "-o", "out.jsonl", "--address", gateway.address, "--concurrency", 1)
    assert result.exit_code == ExitCode.TIMEOUT
    assert len(work(gateway)) == 1 + 3  # a group of them, and three alone
    assert "0 of 50 pictures done, 2 failed; the same command goes on where it stopped" in result.stderr


@pytest.mark.parametrize("between", [None, InternalError("NaN", reason=Reason.MODEL_OUTPUT_INVALID)])
def test_inputs_that_take_too_long_among_others_are_passed_over(
    gateway: Running, folder: Path, between: InternalError | None
) -> None:
    (folder / "prompts.txt").write_text("".join(f"prompt {index}\n" for index in range(12)))
    gateway.behaviour.errors = [LATE, LATE] if between is None else [LATE, LATE, between, LATE, LATE]
    result = diptych("text-to-image", "--prompts", "prompts.txt", "--concurrency", 1, "--address", gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    assert f"{2 if between is None else 5} of 12 prompts failed" in result.stderr


def test_picture_that_changed_is_described_anew_and_one_that_is_back_is_not(gateway: Running, folder: Path) -> None:
    arguments = ("image-to-text", "in", "-o", "captions.jsonl", "--address", gateway.address)
    diptych(*arguments)
    for content, again in ((b"y" * 8, 1), (b"x" * 8, 0)):
        before = (folder / "in/07.png").stat()
        (folder / "in/07.png").write_bytes(content)
        os.utime(folder / "in/07.png", ns=(before.st_atime_ns, before.st_mtime_ns))
        gateway.behaviour.calls.clear()
        assert diptych(*arguments).exit_code == ExitCode.OK
        assert sum(len(call.request.images) for call in work(gateway)) == again
    lines = [each for each in records(folder / "captions.jsonl") if each["file"] == "in/07.png"]
    assert [each["sha256"] for each in lines] == [hashlib.sha256(data * 8).hexdigest() for data in (b"x", b"y")]
