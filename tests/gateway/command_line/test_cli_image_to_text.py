"""`diptych image-to-text`, `classify` and `encode`: what they take, and what they say."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.command_line.console import ExitCode
from tests.gateway.command_line.command import diptych, records, work
from tests.gateway.fake_gateway import Running


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: pictures of 1 to 4 bytes, and what is none."""
    monkeypatch.chdir(tmp_path)
    for name, size in {"b.png": 1, "a.JPG": 2, "deep/er/c.webp": 3, "deep/d.gif": 4}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    for name in ("notes.txt", ".hidden.png", "contact-sheet.png"):
        (tmp_path / "in" / name).write_bytes(b"bad")
    return tmp_path


def _describe(gateway: Running, *arguments: object, stdin: bytes | None = None) -> Result:
    return diptych("image-to-text", *arguments, "--address", gateway.address, stdin=stdin)


def _told(result: Result) -> list[str]:
    return [line.split(":")[0] for line in result.stdout.splitlines()]


def test_a_line_a_file_with_captions_and_labels(gateway: Running, folder: Path) -> None:
    result = _describe(gateway, "in/b.png", "in/a.JPG", "--language", "zh", "--candidates", 2, "--labels", 1)
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines() == [
        "in/b.png: zh: 1 bytes, 1 / zh: 1 bytes, 2 (zh label 0 50%)",
        "in/a.JPG: zh: 2 bytes, 1 / zh: 2 bytes, 2 (zh label 0 50%)",
    ]


def test_folder_stands_for_the_pictures_in_it_sorted(gateway: Running, folder: Path) -> None:
    assert _told(_describe(gateway, "in")) == ["in/a.JPG", "in/b.png", "in/deep/d.gif", "in/deep/er/c.webp"]


def test_glob_that_the_shell_left_alone_is_matched(gateway: Running, folder: Path) -> None:
    assert _told(_describe(gateway, "in/[ab].*")) == ["in/a.JPG", "in/b.png"]
    assert _told(_describe(gateway, "in/**/*.gif")) == ["in/deep/d.gif"]


def test_file_named_twice_is_described_once(gateway: Running, folder: Path) -> None:
    assert _told(_describe(gateway, "in/b.png", "in/[b].png", "in/b.png")) == ["in/b.png"]


def test_file_with_glob_characters_in_its_name_is_itself(gateway: Running, folder: Path) -> None:
    (folder / "a[1].png").write_bytes(b"x")
    assert _told(_describe(gateway, "a[1].png")) == ["a[1].png"]


def test_standard_input_of_text_is_names(gateway: Running, folder: Path) -> None:
    assert _told(_describe(gateway, "-", stdin=b"in/b.png\n\nin/a.JPG\r\n")) == ["in/b.png", "in/a.JPG"]


@pytest.mark.parametrize("data", [b"\x89PNG\xff", b"abc\x00"], ids=["no UTF-8", "a zero byte"])
def test_standard_input_of_anything_else_is_one_picture(gateway: Running, data: bytes) -> None:
    result = _describe(gateway, "-", "--labels", 1, stdin=data)
    assert result.stdout == f"-: en: {len(data)} bytes, 1 (en label 0 50%)\n"


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("none.png", "none.png: no such file or folder"),
        ("*.tiff", "*.tiff: matches no file"),
        ("empty", "empty: the folder has no pictures; they end with .bmp"),
        ("-", "standard input is empty"),
    ],
)
def test_argument_that_stands_for_nothing_is_a_usage_error(
    gateway: Running, folder: Path, argument: str, told: str
) -> None:
    (folder / "empty").mkdir()
    result = _describe(gateway, argument, stdin=b"")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith(f"error: {told}") and result.stderr.count("\n") == 1


def test_one_of_several_arguments_that_stands_for_nothing_stops_no_other(gateway: Running, folder: Path) -> None:
    (folder / "empty").mkdir()
    result = _describe(gateway, "none.png", "in/b.png", "*.tiff", "empty")
    assert result.exit_code == ExitCode.PARTLY
    assert _told(result) == ["in/b.png"]
    assert "failed: none.png: no such file or folder" in result.stderr
    assert "failed: *.tiff: matches no file" in result.stderr
    assert "failed: empty: the folder has no pictures" in result.stderr


@pytest.mark.parametrize("argument", ["-", "/dev/zero"])
def test_endless_input_is_read_no_further_than_a_gateway_takes_it(gateway: Running, argument: str) -> None:
    result = _describe(gateway, argument, stdin=bytes(9 * 1024 * 1024))
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith(f"error: {argument}: the picture has ")
    assert "scale it down" in result.stderr and gateway.behaviour.calls == []


def test_endless_list_of_prompts_is_refused(gateway: Running) -> None:
    result = diptych("encode", "--texts", "/dev/zero", "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: /dev/zero has more than 67108864 bytes; split it\n"


def test_picture_comes_through_a_pipe(gateway: Running, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_bytes, args=[b"12345"])
    writer.start()
    assert _describe(gateway, "pipe", "--labels", 1).stdout == "pipe: en: 5 bytes, 1 (en label 0 50%)\n"
    writer.join()


def test_refused_call_leaves_no_file_and_no_folder(gateway: Running, folder: Path) -> None:
    result = _describe(gateway, "in", "--language", "xx", "-o", "new/deep/captions.jsonl")
    assert result.exit_code == ExitCode.REFUSED
    assert not (folder / "new").exists()


def test_json_lines_have_scores_ids_and_models(gateway: Running, folder: Path) -> None:
    result = _describe(gateway, "in/b.png", "--json", "--labels", 1, "--language", "zh")
    told = json.loads(result.stdout)
    assert told["file"] == "in/b.png"
    assert told["captions"] == [{"text": "zh: 1 bytes, 1", "score": -0.5}]
    assert told["labels"] == [{"id": "0", "text": "zh label 0", "probability": 0.5}]
    assert told["models"]["captioning"]["name"] == "fake-captioning"
    assert told["parameters"] == {"language": "zh", "candidates": 1, "labels": 1}


def test_lines_keep_the_order_of_the_inputs_however_they_are_answered(gateway: Running, folder: Path) -> None:
    names = [f"{index:02}.png" for index in range(40)]
    for name in names:
        (folder / name).write_bytes(b"x")
    assert _told(_describe(gateway, *names, "--concurrency", 8)) == names


def test_only_bad_file_is_the_commands_error_and_is_named(gateway: Running, folder: Path) -> None:
    (folder / "note.png").write_bytes(b"bad")
    result = _describe(gateway, "note.png")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("error: note.png: the picture is no picture; send PNG, JPEG, WebP, GIF or BMP")
    assert not (folder / "failed.jsonl").exists()


def test_name_that_is_no_utf8_is_told_and_written(gateway: Running, folder: Path) -> None:
    name = os.fsdecode(b"k\xe4se.png")
    (folder / name).write_bytes(b"x")
    assert _describe(gateway, ".").exit_code == ExitCode.OK
    assert _describe(gateway, ".", "--output", "out.jsonl").exit_code == ExitCode.OK
    assert name in {record["file"] for record in records(folder / "out.jsonl")}
    again = _describe(gateway, ".", "--output", "out.jsonl")
    assert "5 pictures were done before" in again.stderr


def test_classify_names_the_models_labels_or_ones_own(gateway: Running, folder: Path) -> None:
    address = ("--address", gateway.address)
    result = diptych("classify", "in/b.png", "--language", "zh", "--top-k", 2, *address)
    assert result.stdout == "in/b.png: zh label 0 50%, zh label 1 25%\n"
    result = diptych("classify", "in/b.png", "--labels", "cat, 狗，", *address)
    assert result.stdout == "in/b.png: cat 50%, 狗 25%\n"
    result = diptych("classify", "in/b.png", "--labels", "cat", "--json", *address)
    assert json.loads(result.stdout)["labels"] == [{"id": "0", "text": "cat", "probability": 0.5}]


def test_heads_are_told_by_name_on_the_screen_and_in_json(gateway: Running, folder: Path) -> None:
    address = ("--address", gateway.address)
    asked = ("in/b.png", "--heads", "objects, style", *address)
    assert diptych("classify", *asked).stdout == "in/b.png: objects: objects label 50%; style: style label 50%\n"
    assert diptych("image-to-text", *asked).stdout.endswith("(objects: objects label 50%; style: style label 50%)\n")
    said = json.loads(diptych("classify", *asked, "--json").stdout)
    assert said["heads"]["style"] == [{"id": "0", "text": "style label", "probability": 0.5}]
    assert said["parameters"]["heads"] == ["objects", "style"]
    assert "heads" not in json.loads(diptych("classify", "in/b.png", "--json", *address).stdout)["parameters"]


def test_drawn_captions_name_their_seed_in_json(gateway: Running, folder: Path) -> None:
    drawn = json.loads(_describe(gateway, "in/b.png", "--seed", 7, "--temperature", 0.5, "--json").stdout)
    assert (drawn["seed"], drawn["parameters"]["seed"], drawn["parameters"]["temperature"]) == (7, 7, 0.5)
    searched = json.loads(_describe(gateway, "in/b.png", "--json").stdout)
    assert "seed" not in searched and "seed" not in searched["parameters"]


def test_label_named_twice_counts_once(gateway: Running, folder: Path) -> None:
    result = diptych("classify", "in/b.png", "--labels", "猫,猫, ,狗", "--address", gateway.address)
    assert result.stdout == "in/b.png: 猫 50%, 狗 25%\n"
    assert result.stderr == "--labels names 猫 more than once; taken once\n"


def test_labels_without_a_label_are_refused(gateway: Running, folder: Path) -> None:
    result = diptych("classify", "in/b.png", "--labels", " , ", "--address", gateway.address)
    assert result.exit_code == ExitCode.USAGE
    assert "write them with commas: cat,dog" in result.stderr


def test_encode_gives_a_line_a_text_and_a_picture(gateway: Running, folder: Path) -> None:
    Path("texts.txt").write_text("狗\n")
    result = diptych(
        "encode",
        "cat",
        "--texts",
        "texts.txt",
        "--image",
        "in/b.png",
        "--image",
        "in/deep",
        "--address",
        gateway.address,
    )
    assert result.exit_code == ExitCode.OK
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(each.get("text"), each.get("file"), each["space"], each["vector"]) for each in told] == [
        ("cat", None, "space-a", [1.0, 3.0]),
        ("狗", None, "space-a", [1.0, 1.0]),
        (None, "in/b.png", "space-a", [1.0, 1.0]),
        (None, "in/deep/d.gif", "space-a", [1.0, 4.0]),
        (None, "in/deep/er/c.webp", "space-a", [1.0, 3.0]),
    ]


def test_encode_reads_standard_input_and_continues_its_file(gateway: Running, folder: Path) -> None:
    arguments = ("encode", "--texts", "-", "--output", "vectors.jsonl", "--address", gateway.address)
    assert diptych(*arguments, stdin=b"one\ntwo\none\n").exit_code == ExitCode.OK
    gateway.behaviour.calls.clear()
    assert diptych(*arguments, stdin=b"one\ntwo\nthree\none\n").exit_code == ExitCode.OK
    assert [list(call.request.texts) for call in work(gateway)] == [["three"]]
    assert sorted(record["text"] for record in records(folder / "vectors.jsonl")) == ["one", "one", "three", "two"]


def test_nothing_to_encode_is_a_usage_error(gateway: Running) -> None:
    assert diptych("encode", "--address", gateway.address).exit_code == ExitCode.USAGE
