"""`diptych text-to-image`: prompts in, files, a manifest and a sheet out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import Result

from diptych.types.v1 import image_pb2
from gateway.command_line.console import ExitCode
from gateway.command_line.text_to_image import Wish, _orders
from gateway.png import decode_png
from gateway.provenance import read_provenance
from tests.gateway.command_line.command import diptych, records, work
from tests.gateway.fake_gateway import Running


def _paint(gateway: Running, *arguments: object, stdin: bytes | None = None) -> Result:
    return diptych("text-to-image", *arguments, "--address", gateway.address, stdin=stdin)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_prompt_leaves_a_picture_a_seed_in_the_folder(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "A cat!", "-n", 2, "--seed", 7, "-o", tmp_path / "new")
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines() == [
        f"{tmp_path}/new/a-cat-7.png  seed 7",
        f"{tmp_path}/new/a-cat-8.png  seed 8",
    ]
    assert decode_png((tmp_path / "new/a-cat-7.png").read_bytes()).rows[0][:3] == bytes((7, len("A cat!"), 0))
    assert _names(tmp_path / "new") == ["a-cat-7.png", "a-cat-8.png"]


def test_several_prompts_are_told_in_their_order_and_listed_in_a_manifest(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "a cat", "一只黑猫", "--seed", 1, "--candidates", 2, "-o", tmp_path)
    assert result.exit_code == ExitCode.OK
    assert result.stdout.splitlines() == [
        f"{tmp_path}/a-cat-1.png  seed 1  similarity 0.500",
        f"{tmp_path}/一只黑猫-1.png  seed 1  similarity 0.500",
    ]
    first = min(records(tmp_path / "pictures.jsonl"), key=lambda record: str(record["prompt"]))
    assert {name: first[name] for name in ("prompt", "seed", "file", "similarity")} == {
        "prompt": "a cat",
        "seed": 1,
        "file": "a-cat-1.png",
        "similarity": 0.5,
    }
    assert first["models"]["generation"]["digest"] == "b" * 64


def test_prompts_alike_in_file_names_get_a_file_each_and_the_same_in_every_run(
    gateway: Running, tmp_path: Path
) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        result = _paint(gateway, "[/b] C", "C", "C++", "--seed", 7, "-o", folder)
        assert result.exit_code == ExitCode.OK
        by_prompt = {record["prompt"]: record["file"] for record in records(folder / "pictures.jsonl")}
        assert by_prompt == {"[/b] C": "b-c-7.png", "C": "c-7.png", "C++": "c-2-7.png"}


def test_numbers_go_on_where_a_name_with_one_is_taken_and_many_alike_cost_no_more_than_others() -> None:
    orders = _orders(["c", "c!", "c 2", "c?"], Wish())
    assert [order.words for order in orders] == ["c", "c-2", "c-2-2", "c-3"]
    many = [f"{'same ' * 10} {number}" for number in range(50_000)]  # a look at all before it would take minutes
    assert len({order.words for order in _orders(many, Wish())}) == 50_000


@pytest.mark.parametrize(
    ("name", "sent"), [("cat.png", "PNG"), ("cat.JPG", "JPEG"), ("cat.jpeg", "JPEG"), ("cat.webp", "WEBP")]
)
def test_named_file_says_the_format(gateway: Running, tmp_path: Path, name: str, sent: str) -> None:
    assert _paint(gateway, "a cat", "-o", tmp_path / name).exit_code == ExitCode.OK
    assert (tmp_path / name).exists()
    assert gateway.behaviour.calls[0].request.format == image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{sent}")


def test_format_and_quality_of_a_folder_are_options(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "a cat", "--seed", 7, "--format", "jpeg", "--quality", 80, "-o", tmp_path)
    assert result.exit_code == ExitCode.OK
    assert (tmp_path / "a-cat-7.jpg").read_bytes() == b"IMAGE_FORMAT_JPEG 80"


def test_prompt_that_is_not_embedded_is_in_no_file_and_no_name(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "a secret", "a cat", "--no-embed-prompt", "--seed", 7, "-o", tmp_path)
    assert result.exit_code == ExitCode.OK
    assert _names(tmp_path) == ["pictures.jsonl", "prompt-1-seed-7.png", "prompt-2-seed-7.png"]
    told = read_provenance((tmp_path / "prompt-1-seed-7.png").read_bytes())
    assert told is not None and told.prompt == ""
    assert "secret" not in (tmp_path / "pictures.jsonl").read_text()
    hashes = {record["prompt_sha256"] for record in records(tmp_path / "pictures.jsonl")}
    assert hashlib.sha256(b"a secret").hexdigest() in hashes


def test_sheet_shows_all_pictures(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "one", "two", "-n", 3, "--seed", 7, "--sheet", "-o", tmp_path)
    assert result.stdout.splitlines()[-1] == f"{tmp_path}/contact-sheet.png  all on one sheet"
    sheet = decode_png((tmp_path / "contact-sheet.png").read_bytes())
    assert (sheet.width, sheet.height) == (8 + 3 * 136, 8 + 2 * 136)


def test_sheet_of_single_pictures_is_a_grid(gateway: Running, tmp_path: Path) -> None:
    _paint(gateway, *(f"prompt {index}" for index in range(8)), "--sheet", "-o", tmp_path)
    sheet = decode_png((tmp_path / "contact-sheet.png").read_bytes())
    assert (sheet.width, sheet.height) == (8 + 6 * 136, 8 + 2 * 136)


@pytest.mark.parametrize("arguments", [("-",), ("--prompts", "-")])
def test_prompts_come_from_standard_input_without_blank_lines(
    gateway: Running, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = _paint(gateway, *arguments, "--seed", 1, "-o", tmp_path, stdin="a cat\n\n  一只黑猫 \r\n".encode())
    assert result.exit_code == ExitCode.OK
    assert {record["prompt"] for record in records(tmp_path / "pictures.jsonl")} == {"a cat", "一只黑猫"}


def test_prompts_come_from_a_file_after_those_named(gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\ufefftwo\nthree", "utf-8")
    result = _paint(gateway, "one", "--prompts", tmp_path / "prompts.txt", "--seed", 1, "-o", tmp_path / "out")
    told = [line.split("/")[-1].split("-")[0] for line in result.stdout.splitlines()]
    assert told == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to paint; name prompts"),
        (("--prompts", "none.txt"), "cannot read none.txt: No such file"),
        (("--prompts", "latin.txt"), "latin.txt, line 2: not UTF-8"),
        (("--prompts", "blank.txt"), "no prompt in blank.txt"),
        (("cat", "-n", 2, "-o", "cat.png"), "cat.png is one file for 2 pictures; name a folder"),
        (("cat", "--sheet", "-o", "cat.png"), "--sheet goes with a folder; cat.png is one file"),
        (("cat", "--sheet", "--format", "webp"), "--sheet is made of PNG pictures, and these would be webp"),
        (("cat", "--format", "webp", "-o", "cat.png"), "cat.png is named as png, and --format is webp; say one"),
        (("cat", "-o", "file"), "cannot make folder file"),
        (("cat", "-o", "one.gif"), "one.gif: gif is not an output format; name a folder, or .png, .jpg, .webp"),
        (("cat", "-n", 4, "--candidates", 2), "--candidates is 2, and --number 4; none, or at least as many"),
    ],
)
def test_wrong_use_is_one_line_before_anything_is_asked(
    gateway: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes(b"cat\nk\xe4se\n")
    Path("blank.txt").write_bytes(b" \n\n")
    Path("file").touch()
    result = _paint(gateway, *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.startswith(f"error: {told}") and result.stderr.count("\n") == 1
    assert gateway.behaviour.calls == []


def test_prompt_that_is_refused_does_not_stop_the_others(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "one", "bad", "two", "--seed", 7, "-o", tmp_path)
    assert result.exit_code == ExitCode.PARTLY
    assert _names(tmp_path) == ["failed.jsonl", "one-7.png", "pictures.jsonl", "two-7.png"]
    [failed] = records(tmp_path / "failed.jsonl")
    assert (failed["prompt"], failed["reason"], failed["field"]) == ("bad", "FIELD_INVALID", "prompt")
    assert f"1 of 3 prompts failed; listed in {tmp_path}/failed.jsonl" in result.stderr


def test_only_prompt_that_is_refused_is_the_commands_error(gateway: Running, tmp_path: Path) -> None:
    result = _paint(gateway, "bad", "-o", tmp_path)
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr == "error: prompt is 'bad'; this gateway does not like it\n"
    assert _names(tmp_path) == []


def test_option_that_every_prompt_would_meet_stops_at_once(gateway: Running, tmp_path: Path) -> None:
    candidates = ("-n", 17, "--candidates", 17)
    result = _paint(gateway, *"abcdefgh", *candidates, "--concurrency", 1, "-o", tmp_path / "new")
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("error: --number is 17; the limit is 16; 0 of 8 prompts done")
    assert not (tmp_path / "new").exists()
    assert len(work(gateway)) == 1


def test_more_pictures_than_a_call_takes_are_several_calls(gateway: Running, tmp_path: Path) -> None:
    assert _paint(gateway, "a cat", "-n", 35, "--seed", 2**64 - 20, "-o", tmp_path).exit_code == ExitCode.OK
    assert [len(call.request.seeds) for call in work(gateway)] == [16, 16, 3]
    seeds = [seed for call in work(gateway) for seed in call.request.seeds]
    assert seeds == [*range(2**64 - 20, 2**64), *range(15)]
    assert len(_names(tmp_path)) == 35


def test_same_command_paints_nothing_twice_unless_it_is_told_to(gateway: Running, tmp_path: Path) -> None:
    arguments = ("one", "two", "--seed", 7, "-o", tmp_path)
    _paint(gateway, *arguments)
    before = (tmp_path / "pictures.jsonl").read_bytes()
    gateway.behaviour.calls.clear()
    result = _paint(gateway, *arguments)
    assert result.exit_code == ExitCode.OK and work(gateway) == []
    assert result.stderr == "2 prompts were done before; --no-resume paints them again\n"
    assert (tmp_path / "pictures.jsonl").read_bytes() == before
    result = _paint(gateway, *arguments, "--no-resume")
    assert len(work(gateway)) == 2 and "done before" not in result.stderr
    assert sorted(record["prompt"] for record in records(tmp_path / "pictures.jsonl")) == ["one", "two"]
    assert _names(tmp_path) == ["one-7.png", "pictures.jsonl", "two-7.png"]


def test_picture_has_one_line_whatever_it_was_painted_with_before(gateway: Running, tmp_path: Path) -> None:
    for quality in (80, 90):
        _paint(gateway, "one", "two", "--seed", 7, "--format", "webp", "--quality", quality, "-o", tmp_path)
    lines = records(tmp_path / "pictures.jsonl")
    assert [line["parameters"]["quality"] for line in lines] == [90, 90]


def test_resume_paints_what_is_missing_and_no_more(gateway: Running, tmp_path: Path) -> None:
    arguments = ("-n", 2, "--seed", 7, "-o", tmp_path)
    _paint(gateway, "one", "two", "three", *arguments)
    (tmp_path / "two-8.png").unlink()
    gateway.behaviour.calls.clear()
    result = _paint(gateway, "one", "two", "three", "four", *arguments, "--resume", "--sheet")
    assert result.exit_code == ExitCode.OK
    assert sorted(call.request.prompt for call in work(gateway)) == ["four", "two"]
    assert "2 prompts were done before" in result.stderr
    sheet = decode_png((tmp_path / "contact-sheet.png").read_bytes())
    assert (sheet.width, sheet.height) == (8 + 2 * 136, 8 + 4 * 136)


def test_other_parameters_are_other_pictures(gateway: Running, tmp_path: Path) -> None:
    _paint(gateway, "one", "two", "--seed", 7, "-o", tmp_path)
    gateway.behaviour.calls.clear()
    _paint(gateway, "one", "two", "--seed", 8, "--resume", "-o", tmp_path)
    assert len(work(gateway)) == 2


def test_prompt_twice_in_a_list_is_painted_twice_and_resumed_once_each(gateway: Running, tmp_path: Path) -> None:
    _paint(gateway, "one", "-o", tmp_path, "--resume")
    gateway.behaviour.calls.clear()
    _paint(gateway, "one", "one", "-o", tmp_path, "--resume")
    assert len(work(gateway)) == 1
