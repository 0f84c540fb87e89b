"""The files of a run: one run at a time writes them, nobody else's is touched, and what is no file is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.command_line.console import ExitCode
from gateway.command_line.json_lines import FailedList, JsonLines
from shared.errors import ConfigurationError
from tests.gateway.client.test_files import room_for
from tests.gateway.command_line.command import diptych, records, work
from tests.gateway.fake_gateway import Running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: a folder `in` with three pictures, of which one is bad."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name, data in (("a.png", b"1"), ("b.png", b"bad"), ("c.png", b"333")):
        (tmp_path / "in" / name).write_bytes(data)
    return tmp_path


def _lines(path: Path) -> JsonLines:
    return JsonLines(path, lambda record: str(record["file"]), unique="file")


def test_second_run_on_the_same_output_is_refused_and_spoils_nothing(gateway: Running, folder: Path) -> None:
    with _lines(folder / "out.jsonl") as first:
        first.write({"file": "one"})
        result = diptych("image-to-text", "in", "-o", "out.jsonl", "--address", gateway.address)
        first.write({"file": "two"})
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith("error: out.jsonl: another run is writing it; wait for its end, or name another")
    assert [record["file"] for record in records(folder / "out.jsonl")] == ["one", "two"]
    assert work(gateway) == []


def test_second_painting_into_the_same_folder_is_refused(gateway: Running, folder: Path) -> None:
    with _lines(folder / "pictures.jsonl"):
        result = diptych("text-to-image", "one", "two", "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert "pictures.jsonl: another run is writing it" in result.stderr


def test_run_that_ends_leaves_the_file_to_the_next(folder: Path) -> None:
    for _ in range(2):  # the second leaves one line of two, in a file of its own
        with _lines(folder / "out.jsonl") as lines:
            lines.write({"file": "one"})
    with _lines(folder / "out.jsonl") as lines:
        assert lines.done == {"one": 1}


def test_line_that_a_full_disk_cut_takes_no_other_line_with_it(folder: Path) -> None:
    with _lines(folder / "out.jsonl") as lines:
        lines.write({"file": "one"})
        with room_for(20), pytest.raises(ConfigurationError, match=r"cannot write .*out.jsonl"):
            lines.write({"file": "one", "text": "x" * 1000})
    with _lines(folder / "out.jsonl") as lines:
        assert lines.done == {"one": 1}


@pytest.mark.parametrize("content", [b"id,why\n1,broken\n", b'{"file": "in/a.png", "captions": []}\n', b"\x89PNG\r\n"])
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("image-to-text", "in", "-o", "out.jsonl"), "out.failed.jsonl"),
        (("text-to-image", "bad", "good", "-o", "."), "failed.jsonl"),
    ],
)
def test_list_of_somebody_else_is_left_as_it_is(
    gateway: Running, folder: Path, command: tuple[str, ...], name: str, content: bytes
) -> None:
    (folder / name).write_bytes(content)
    result = diptych(*command, "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert f"{name}, line 1: not written by this command" in result.stderr
    assert (folder / name).read_bytes() == content
    assert work(gateway) == []


def test_list_of_ours_is_begun_anew_even_where_a_kill_cut_it(folder: Path) -> None:
    FailedList(folder / "failed.jsonl").add({"file": "a", "error": "no", "reason": "", "field": ""})
    with (folder / "failed.jsonl").open("ab") as file:
        file.write(b'{"file": "b", "err')
    FailedList(folder / "failed.jsonl")
    assert not (folder / "failed.jsonl").exists()


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/null", "pipe"])
def test_output_that_is_no_file_is_refused(gateway: Running, folder: Path, output: str) -> None:
    os.mkfifo(folder / "pipe")
    done = subprocess.run(
        [sys.executable, "-m", "gateway.command_line", "encode", "cat", "-o", output, "--address", gateway.address],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.startswith(f"error: {output}: not a file that can be continued") and done.stderr.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["in", "pipe"]


def test_pictures_do_not_go_to_standard_output(gateway: Running, folder: Path) -> None:
    result = diptych("text-to-image", "cat", "-o", "-", "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: pictures do not go to standard output; name a folder, or .png, .jpg, .webp\n"
    assert work(gateway) == []


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("image-to-text", "x" * 300), f"{'x' * 300}: File name too long"),
        (("image-to-text", "in", "-o", "x" * 300), f"cannot use {'x' * 300}: File name too long"),
        (("text-to-image", "cat", "-o", "x" * 300), f"cannot use {'x' * 300}: File name too long"),
        (("text-to-image", "--prompts", "x" * 300), f"cannot read {'x' * 300}: File name too long"),
    ],
)
def test_name_that_is_too_long_is_wrong_usage(
    gateway: Running, folder: Path, command: tuple[str, ...], told: str
) -> None:
    result = diptych(*command, "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == f"error: {told}\n"


def test_name_that_is_too_long_stops_no_other(gateway: Running, folder: Path) -> None:
    result = diptych("image-to-text", "x" * 300, "in/a.png", "--address", gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    assert result.stdout.startswith("in/a.png: en: 1 bytes") and "File name too long" in result.stderr


@pytest.mark.parametrize("command", [("encode", "cat"), ("status",), ("capabilities", "--json")])
def test_standard_output_without_room_is_one_line(gateway: Running, command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gateway.command_line", *command, "--address", gateway.address],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == ExitCode.USAGE
    assert done.stderr == "error: cannot use standard output: No space left on device\n"
