"""The `diptych` command as a user types it, against real servers: twenty pictures, fifty files, replay, own labels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gateway.client import Diptych
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file, pixels_of, truncated_jpeg
from tests.end_to_end.servers import REPOSITORY, Launcher, Server


class Desk:
    """A folder to work in, with the command and a gateway."""

    def __init__(self, folder: Path, gateway: Server) -> None:
        self.folder = folder
        self.address = gateway.address

    def __call__(self, *arguments: object, stdin: bytes = b"", code: int = 0) -> str:
        """Standard output of a command that must end with `code`."""
        path = os.pathsep.join((str(REPOSITORY / "protos"), str(REPOSITORY)))
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gateway.command_line",
                *(str(each) for each in arguments),
            ],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "DIPTYCH_ADDRESS": self.address},
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr.decode()
        self.errors = done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture
def desk(platform: Platform, tmp_path: Path) -> Desk:
    """A desk at the shared platform."""
    return Desk(tmp_path, platform.gateway)


def test_twenty_prompts_become_twenty_pictures_and_one_sheet(desk: Desk) -> None:
    (desk.folder / "prompts.txt").write_text("".join(f"prompt {number}\n" for number in range(20)))
    told = desk("text-to-image", "--prompts", "prompts.txt", "--seed", 1, "-o", "many", "--sheet")
    pictures = sorted((desk.folder / "many").glob("prompt-*.png"))
    assert len(pictures) == 20 and len(told.splitlines()) == 21
    assert len((desk.folder / "many/pictures.jsonl").read_text().splitlines()) == 20
    desk("text-to-image", "--prompts", "prompts.txt", "--seed", 1, "-o", "many", "--sheet")
    assert "20 prompts were done before" in desk.errors
    assert len((desk.folder / "many/pictures.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize(("name", "kind"), [("cat.png", "PNG"), ("cat.jpg", "JPEG"), ("cat.webp", "WEBP")])
def test_nearest_of_several_candidates_is_kept_in_the_format_of_its_name(desk: Desk, name: str, kind: str) -> None:
    quality = () if kind == "PNG" else ("--quality", 80)
    told = desk("text-to-image", "a black cat", "--candidates", 4, "--seed", 7, *quality, "-o", name)
    assert "similarity" in told
    with Image.open(desk.folder / name) as picture:
        assert picture.format == kind


def test_captions_for_fifty_files_of_which_five_are_broken(desk: Desk) -> None:
    (desk.folder / "in").mkdir()
    broken = {4: b"", 11: b"plain text", 23: truncated_jpeg(), 24: b"\x89PNG\r\n\x1a\n", 42: picture_file()[:20]}
    for index in range(50):
        (desk.folder / f"in/{index:02}.jpg").write_bytes(broken.get(index, picture_file()))
    desk("image-to-text", "in", "--language", "zh", "--output", "captions.jsonl", code=3)
    lines = [json.loads(line) for line in (desk.folder / "captions.jsonl").read_text().splitlines()]
    assert len({line["file"] for line in lines}) == len(lines) == 45
    failed = [json.loads(line) for line in (desk.folder / "captions.failed.jsonl").read_text().splitlines()]
    assert {line["file"] for line in failed} == {f"in/{index:02}.jpg" for index in broken}
    assert {line["reason"] for line in failed} <= {"FIELD_MISSING", "IMAGE_UNREADABLE", "IMAGE_DAMAGED"}
    assert "5 of 50 pictures failed; listed in captions.failed.jsonl" in desk.errors
    desk("image-to-text", "in", "--language", "zh", "--output", "captions.jsonl", code=3)
    assert "45 pictures were done before" in desk.errors


def test_standard_input_is_a_picture_or_names(desk: Desk) -> None:
    (desk.folder / "one.jpg").write_bytes(picture_file())
    assert desk("image-to-text", "-", stdin=picture_file()).startswith("-: ")
    assert desk("image-to-text", "-", stdin=b"one.jpg\n").startswith("one.jpg: ")


def test_labels_of_ones_own_add_up(desk: Desk) -> None:
    (desk.folder / "one.jpg").write_bytes(picture_file())
    told = json.loads(desk("classify", "one.jpg", "--labels", "cat,狗,a house", "--json"))
    assert {label["text"] for label in told["labels"]} == {"cat", "狗", "a house"}
    assert sum(label["probability"] for label in told["labels"]) == pytest.approx(1, abs=1e-3)


def test_encodings_are_of_unit_length_and_one_space(desk: Desk) -> None:
    (desk.folder / "one.jpg").write_bytes(picture_file())
    told = [json.loads(line) for line in desk("encode", "cat", "--image", "one.jpg").splitlines()]
    assert len({line["space"] for line in told}) == 1
    for line in told:
        assert sum(each * each for each in line["vector"]) == pytest.approx(1, abs=1e-3)


def test_painted_file_replays_to_the_same_picture_and_an_altered_one_is_found_out(desk: Desk) -> None:
    desk("text-to-image", "a black cat", "--seed", 7, "-o", "cat.png")
    assert desk("replay", "cat.png") == "cat.png: same picture\n"
    desk("text-to-image", "a secret", "--seed", 7, "--no-embed-prompt", "-o", "secret.png")
    assert b"secret" not in (desk.folder / "secret.png").read_bytes()
    desk("replay", "secret.png", code=2)
    assert desk("replay", "secret.png", "--prompt", "a secret") == "secret.png: same picture\n"


def test_models_of_another_space_refuse_to_replay(
    desk: Desk, launcher: Launcher, platform: Platform, other_models: dict[str, Path]
) -> None:
    desk("text-to-image", "a black cat", "--seed", 7, "-o", "cat.png")
    others = {name: launcher.service(name, model_directory=other_models[name]) for name in ("text", "generation")}
    gateway = launcher.gateway(platform.targets(**{name: server.address for name, server in others.items()}))
    for server in launcher.servers:
        server.wait_serving()
    other = Desk(desk.folder, gateway)
    other("replay", "cat.png", code=4)
    assert "was painted with the text model" in other.errors and "space other)" in other.errors


def test_status_and_capabilities_tell_of_real_models(desk: Desk, platform: Platform) -> None:
    told = desk("status")
    for name in ("text", "classification", "generation", "captioning"):
        assert platform[name].address in told
    assert "tiny-captioning" in told
    found = json.loads(desk("capabilities", "--json"))
    assert found["limits"]["prompt_characters"] == 500
    assert desk("status", platform.text.address).count("serving") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("text-to-image", "x" * 501), 4, "prompt has 501 characters; the limit is 500"),
        (("text-to-image", "cat", "-n", 2, "--candidates", 17), 4, "--candidates is 17; the limit is 16"),
        (("image-to-text", "one.jpg", "--language", "xx"), 4, "xx"),
        (("image-to-text", "none.jpg"), 2, "no such file"),
        (("image-to-text", "text.png"), 4, "error: text.png: the picture is not a picture of a known format"),
    ],
)
def test_mistake_is_one_line_with_its_exit_code(
    desk: Desk, arguments: tuple[object, ...], code: int, told: str
) -> None:
    (desk.folder / "one.jpg").write_bytes(picture_file())
    (desk.folder / "text.png").write_text("words")
    desk(*arguments, code=code)
    assert told in desk.errors and desk.errors.count("\n") == 1


def test_client_and_command_paint_the_same_pixels(desk: Desk, platform: Platform) -> None:
    desk("text-to-image", "a black cat", "--seed", 7, "-o", "cat.png")
    with Diptych(platform.gateway.address) as diptych:
        pictures = diptych.text_to_image("a black cat", seed=7, count=2)
        streamed = dict(diptych.stream_text_to_image("a black cat", seed=7, count=2))
    assert pixels_of(pictures[0].data) == pixels_of((desk.folder / "cat.png").read_bytes())
    assert [streamed[index].pixel_sha256 for index in range(2)] == [each.pixel_sha256 for each in pictures]
