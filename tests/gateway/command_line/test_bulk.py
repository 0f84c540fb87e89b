"""Long runs: bad files among good ones, a kill in the middle, a gateway that goes away."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from gateway.command_line.console import ExitCode
from shared.codes import Reason
from shared.errors import CallError, DeadlineExceededError, InternalError, OverloadedError, PermissionDeniedError
from tests.gateway.command_line.command import diptych, records, start_diptych, work
from tests.gateway.fake_gateway import Behaviour, Running, running_gateway

BAD = {3, 4, 17, 31, 49}


def _spoil(folder: Path) -> None:
    for index in BAD:
        (folder / f"in/{index:02}.png").write_bytes(b"bad")


def _wait_for_lines(process: subprocess.Popen[str], path: Path, count: int) -> None:
    """Until a command has written some of its lines."""
    give_up = time.monotonic() + 150
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.01)


def test_five_bad_files_of_fifty_are_listed_and_cost_their_neighbours_nothing(gateway: Running, folder: Path) -> None:
    _spoil(folder)
    result = diptych("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    assert len({record["file"] for record in records(folder / "captions.jsonl")}) == 45
    failed = records(folder / "captions.failed.jsonl")
    assert {record["file"] for record in failed} == {f"in/{index:02}.png" for index in BAD}
    assert {(record["reason"], record["field"]) for record in failed} == {("IMAGE_UNREADABLE", "images[0]")}
    assert failed[0]["error"].startswith("the picture is no picture")
    assert "5 of 50 pictures failed; listed in captions.failed.jsonl" in result.stderr
    assert "failed: in/17.png: the picture is no picture" in result.stderr


def test_failed_ones_are_tried_again_and_done_ones_are_not(gateway: Running, folder: Path) -> None:
    _spoil(folder)
    arguments = ("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
    diptych(*arguments)
    (folder / "in/17.png").write_bytes(b"mended")
    gateway.behaviour.calls.clear()
    result = diptych(*arguments)
    assert result.exit_code == ExitCode.PARTLY
    assert len(records(folder / "captions.jsonl")) == 46
    assert len(records(folder / "captions.failed.jsonl")) == 4
    assert sum(len(call.request.images) for call in work(gateway)) < 16
    for index in BAD:
        (folder / f"in/{index:02}.png").write_bytes(b"mended")
    assert diptych(*arguments).exit_code == ExitCode.OK
    assert not (folder / "captions.failed.jsonl").exists()


def test_file_that_cannot_be_read_is_one_that_failed(gateway: Running, folder: Path) -> None:
    names = "in/01.png\nin/none.png\nin\nin/02.png\n"
    arguments = ("image-to-text", "-", "-o", "out.jsonl", "--concurrency", 1, "--address", gateway.address)
    result = diptych(*arguments, stdin=names.encode())
    assert result.exit_code == ExitCode.PARTLY
    assert len(records(folder / "out.jsonl")) == 2
    assert [(each["file"], each["error"]) for each in records(folder / "out.failed.jsonl")] == [
        ("in/none.png", "No such file or directory"),
        ("in", "Is a directory"),
    ]


def test_failures_of_a_run_without_an_output_are_told_and_leave_no_file(gateway: Running, folder: Path) -> None:
    for index in range(20):
        (folder / f"in/{index:02}.png").write_bytes(b"bad")
    result = diptych("image-to-text", "in", "--address", gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    assert len(result.stdout.splitlines()) == 30
    assert result.stderr.count("failed: in/") == 20 and "20 of 50 pictures failed\n" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["in"]


def test_huge_file_is_one_that_failed_and_is_not_read(gateway: Running, folder: Path) -> None:
    with (folder / "in/07.png").open("wb") as file:
        file.truncate(1024**4)
    (folder / "in/08.png").unlink()
    (folder / "in/08.png").symlink_to("/dev/zero")
    result = diptych("image-to-text", "in", "in/08.png", "-o", "out.jsonl", "--address", gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    told = [(each["file"], each["error"].partition(";")[0]) for each in records(folder / "out.failed.jsonl")]
    assert told == [
        ("in/07.png", f"the picture has {1024**4} bytes"),
        ("in/08.png", "the picture has more than 8388608 bytes"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        InternalError("NaN", reason=Reason.MODEL_OUTPUT_INVALID),
        DeadlineExceededError("slow", reason=Reason.DEADLINE_PASSED),
        OverloadedError("the message is too large"),
    ],
)
def test_group_that_fails_without_naming_one_is_asked_one_by_one(
    gateway: Running, folder: Path, error: CallError
) -> None:
    gateway.behaviour.errors = [error]
    result = diptych("image-to-text", "in", "--address", gateway.address, "--concurrency", 1)
    assert result.exit_code == ExitCode.OK
    assert len(result.stdout.splitlines()) == 50


def test_language_that_is_unknown_stops_at_once(gateway: Running, folder: Path) -> None:
    result = diptych("image-to-text", "in", "--language", "xx", "--concurrency", 1, "--address", gateway.address)
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "error: --language is 'xx'; known are en, zh; 0 of 50 pictures done\n"
    assert len(work(gateway)) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OverloadedError("queue is full", reason=Reason.QUEUE_FULL, retry_after_seconds=0.01), ExitCode.BUSY),
        (PermissionDeniedError("no"), ExitCode.REFUSED),
    ],
)
def test_what_every_input_would_meet_stops_and_says_how_to_go_on(
    gateway: Running, folder: Path, error: CallError, code: ExitCode
) -> None:
    gateway.behaviour.errors = [error] * 50
    result = diptych("image-to-text", "in", "--output", "out.jsonl", "--address", gateway.address, "--retries", 0)
    assert result.exit_code == code
    assert "0 of 50 pictures done; the same command goes on where it stopped" in result.stderr
    assert not (folder / "out.failed.jsonl").exists()


@pytest.mark.parametrize(("concurrency", "delay_seconds"), [(1, 0.05), (3, 0.5)])
def test_as_many_calls_are_under_way_as_the_option_says(
    gateway: Running, folder: Path, concurrency: int, delay_seconds: float
) -> None:
    gateway.behaviour.delay_seconds = delay_seconds  # the others must have come before the first ends
    diptych("image-to-text", "in", "--concurrency", concurrency, "--address", gateway.address)
    assert gateway.behaviour.most_under_way == concurrency


def test_killed_run_goes_on_where_it_stopped(folder: Path) -> None:
    with running_gateway(Behaviour(delay_seconds=0.1)) as gateway:
        arguments = ("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
        with start_diptych(*arguments, "--concurrency", 1, folder=folder) as process:
            _wait_for_lines(process, folder / "captions.jsonl", 10)
            process.kill()
        done = len(records(folder / "captions.jsonl"))
        assert done < 50
        with (folder / "captions.jsonl").open("ab") as file:
            file.write(b'{"file": "in/49.png", "capt')  # what a kill in the middle of a write leaves
        gateway.behaviour.calls.clear()
        assert diptych(*arguments).exit_code == ExitCode.OK
        assert sum(len(call.request.images) for call in work(gateway)) == 50 - done
    files = [record["file"] for record in records(folder / "captions.jsonl")]
    assert sorted(files) == [f"in/{index:02}.png" for index in range(50)]


def test_killed_painting_goes_on_where_it_stopped(folder: Path) -> None:
    (folder / "prompts.txt").write_text("".join(f"prompt {index}\n" for index in range(20)))
    with running_gateway(Behaviour(delay_seconds=0.05)) as gateway:
        arguments = (
            "text-to-image",
            "--prompts",
            "prompts.txt",
            "--seed",
            1,
            "-o",
            "out",
            "--address",
            gateway.address,
        )
        with start_diptych(*arguments, "--concurrency", 1, folder=folder) as process:
            _wait_for_lines(process, folder / "out/pictures.jsonl", 5)
            process.kill()
        done = len(records(folder / "out/pictures.jsonl"))
        gateway.behaviour.calls.clear()
        assert diptych(*arguments).exit_code == ExitCode.OK
        assert len(work(gateway)) == 20 - done
    assert len(records(folder / "out/pictures.jsonl")) == 20 == len(list((folder / "out").glob("*.png")))


def test_interrupted_run_keeps_what_it_has_and_says_how_to_go_on(folder: Path) -> None:
    with running_gateway(Behaviour(delay_seconds=0.1)) as gateway:
        arguments = ("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
        with start_diptych(*arguments, "--concurrency", 1, folder=folder) as process:
            _wait_for_lines(process, folder / "captions.jsonl", 10)
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    done = len(records(folder / "captions.jsonl"))
    assert f"{done} of 50 pictures done; the same command goes on where it stopped" in told


def test_gateway_that_goes_away_stops_the_run_and_the_same_command_goes_on(folder: Path) -> None:
    with running_gateway(Behaviour(delay_seconds=0.1)) as gateway:
        port = int(gateway.address.rpartition(":")[2])
        arguments = ("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
        with start_diptych(*arguments, "--concurrency", 1, "--timeout", 2, folder=folder) as process:
            _wait_for_lines(process, folder / "captions.jsonl", 10)
            gateway.stop()
            _, told = process.communicate(timeout=60)
    assert process.returncode == ExitCode.UNAVAILABLE
    waited, error = told.splitlines()
    assert waited.endswith("; waiting for it, up to 2 s")
    assert error.startswith(f"error: no gateway answers at {gateway.address}")
    assert error.endswith("the same command goes on where it stopped")
    with running_gateway(port=port):
        assert diptych(*arguments).exit_code == ExitCode.OK
    assert len(records(folder / "captions.jsonl")) == 50


def test_gateway_that_comes_back_is_waited_for(folder: Path) -> None:
    with running_gateway(Behaviour(delay_seconds=0.1)) as gateway:
        port = int(gateway.address.rpartition(":")[2])
        arguments = ("image-to-text", "in", "--output", "captions.jsonl", "--address", gateway.address)
        with start_diptych(*arguments, "--concurrency", 2, "--retries", 1, folder=folder) as process:
            _wait_for_lines(process, folder / "captions.jsonl", 10)
            gateway.stop()
            assert process.stderr is not None
            told = process.stderr.readline()
            with running_gateway(port=port):
                _, rest = process.communicate(timeout=60)
    assert process.returncode == ExitCode.OK, rest
    assert told.endswith("; waiting for it, up to 30 s\n") and "it is back" in rest
    assert len(records(folder / "captions.jsonl")) == 50


@pytest.mark.parametrize("arguments", [("image-to-text", "in"), ("text-to-image", "--prompts", "prompts.txt")])
def test_lines_by_models_that_are_gone_do_not_count(gateway: Running, folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "prompts.txt").write_text("".join(f"prompt {index}\n" for index in range(50)))
    command = (*arguments, "-o", "out", "--address", gateway.address)
    command += ("--seed", "1") if "--prompts" in arguments else ()
    assert diptych(*command).exit_code == ExitCode.OK
    assert "50" in diptych(*command).stderr
    gateway.behaviour.digests |= {"captioning": "c" * 64, "generation": "c" * 64}
    gateway.behaviour.calls.clear()
    assert diptych(*command).exit_code == ExitCode.OK
    assert len(work(gateway)) >= 7
    gateway.behaviour.calls.clear()
    assert "50" in diptych(*command).stderr
    assert work(gateway) == []


def test_lines_of_other_parameters_do_not_count(gateway: Running, folder: Path) -> None:
    for language in ("en", "zh", "zh"):
        arguments = ("image-to-text", "in", "--language", language, "--output", "captions.jsonl")
        assert diptych(*arguments, "--address", gateway.address).exit_code == ExitCode.OK
    languages = [record["parameters"]["language"] for record in records(folder / "captions.jsonl")]
    assert languages == ["en"] * 50 + ["zh"] * 50


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b'{"name": "settings"}', b"\x89PNG\r\n", b'["file"]\n'])
def test_file_of_somebody_else_is_left_as_it_is(gateway: Running, folder: Path, content: bytes) -> None:
    (folder / "other").write_bytes(content)
    result = diptych("image-to-text", "in", "--output", "other", "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: other, line 1: not written by this command; name another file\n"
    assert (folder / "other").read_bytes() == content
