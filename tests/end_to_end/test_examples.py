"""The examples do what they say, from an empty folder, against a real gateway; Node installs what its lock names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import REPOSITORY
from tests.ports import free_port

EXAMPLES = REPOSITORY / "gateway" / "examples"
INSTALL_SECONDS = 120
RUN_SECONDS = 60
CAPTION = r"-\d+\.\d\d"
"""A score."""

Run = Callable[..., str]
"""Runs an example in the test's folder; its output."""


def output(command: list[str], folder: Path, *, expected_code: int = 0, **environment: str) -> str:
    """What a program says, on both streams."""
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert result.returncode == expected_code, result.stdout
    return result.stdout


@pytest.fixture
def python(platform: Platform, tmp_path: Path) -> Run:
    """Runs a Python example, as after `pip install`."""
    path = os.pathsep.join((str(REPOSITORY / "protos"), str(REPOSITORY)))

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, str(EXAMPLES / "python" / name), *arguments, "--address", platform.gateway.address]
        return output(command, tmp_path, PYTHONPATH=path, PYTHONUTF8="1")

    return run


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Node example beside a copy of the protos, with its packages installed."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are missing; .ci/run installs them")
        pytest.skip("node and npm are missing")
    checkout = tmp_path_factory.mktemp("checkout")
    folder = checkout / "gateway" / "examples" / "node"
    shutil.copytree(EXAMPLES / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(REPOSITORY / "protos", checkout / "protos", ignore=shutil.ignore_patterns("*.py", "*.pyi"))
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    result = subprocess.run(
        install,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture
def node(platform: Platform, node_folder: Path, tmp_path: Path) -> Run:
    """Runs a Node example."""

    def run(name: str, *arguments: str, expected_code: int = 0, address: str = platform.gateway.address) -> str:
        command = ["node", str(node_folder / name), *arguments]
        return output(command, tmp_path, expected_code=expected_code, DIPTYCH_ADDRESS=address)

    return run


def format_and_size(file: Path) -> tuple[str | None, tuple[int, int]]:
    """Of a picture file."""
    with Image.open(file) as image:
        return image.format, image.size


def test_python_paints_pictures_one_by_one_and_the_best_of_several(python: Run, tmp_path: Path) -> None:
    told = python("text_to_image.py", "a cat", "--output", "pictures")

    for seed in range(1, 5):
        assert format_and_size(tmp_path / "pictures" / f"picture-{seed}.png") == ("PNG", (32, 32))
    assert told.count("32 x 32, by tiny-generation") == 4
    assert format_and_size(tmp_path / "pictures" / "best.webp") == ("WEBP", (32, 32))
    assert re.search(r"best\.webp: seed [1-8], similarity -?0\.\d\d$", told, re.MULTILINE)


def test_python_describes_pictures_and_goes_on_after_a_bad_file(python: Run, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    (tmp_path / "photo.jpg").write_bytes(picture_file())

    told = python("image_to_text.py", "no.png", "photo.jpg")

    assert "no.png: IMAGE_UNREADABLE: images[0]" in told
    assert len(re.findall(rf"^photo\.jpg: .* \({CAPTION}\)$", told, re.MULTILINE)) == 2
    assert re.search(r"on it: (cat|dog|apple|house) \d+%", told)
    assert re.search(r"on it: (猫|狗|苹果|房子) \d+%", told)


def test_python_sorts_by_labels_of_its_own(python: Run, tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(picture_file())

    told = python("zero_shot.py", "one.jpg", "two.jpg", "--labels", "animal,车,food")

    percentages = [int(found) for found in re.findall(r"(\d+)% (?:animal|车|food)$", told, re.MULTILINE)]
    assert len(percentages) == 6
    assert sum(percentages) == pytest.approx(200, abs=4)
    assert re.search(r"^one\.jpg: (animal|车|food)$", told, re.MULTILINE)


def test_python_finds_pictures_by_a_text(python: Run, tmp_path: Path) -> None:
    """More of them than one call takes."""
    folder = tmp_path / "album"
    folder.mkdir()
    for index in range(20):
        (folder / f"{index}.jpg").write_bytes(picture_file(size=(20 + index, 40)))
    (folder / "notes.txt").write_text("not looked at")

    told = python("search.py", "album", "a cat").splitlines()

    assert len(told) == 5
    assert all(re.fullmatch(r"[+-]0\.\d{3} album/\d+\.jpg", line) for line in told), told
    similarities = [float(line.split()[0]) for line in told]
    assert similarities == sorted(similarities, reverse=True)


def test_node_paints_streams_and_takes_a_refusal_apart(node: Run, tmp_path: Path) -> None:
    told = node("text_to_image.mjs", "a cat")

    assert "out/picture-7.png: 32 x 32, by tiny-generation" in told
    assert format_and_size(tmp_path / "out" / "picture-7.png") == ("PNG", (32, 32))
    for index in range(4):
        assert f"stream-{index}.webp: seed {index + 1}\n" in told
        assert format_and_size(tmp_path / "out" / f"stream-{index}.webp") == ("WEBP", (32, 32))
    assert re.search(r"^refused: INVALID_ARGUMENT, FIELD_INVALID, field quality: quality is 80 ", told, re.MULTILINE)


def test_node_describes_in_chinese(node: Run, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(picture_file())

    told = node("image_to_text.mjs", "photo.jpg", "zh")

    assert re.search(rf"^caption: .* \({CAPTION}\)$", told, re.MULTILINE)
    assert re.search(r"^label: (猫|狗|苹果|房子) \d+ %$", told, re.MULTILINE)


def test_node_ends_with_1_and_the_reason_when_the_picture_is_none(node: Run, tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")

    told = node("image_to_text.mjs", "no.png", expected_code=1)

    assert re.search(r"^error: INVALID_ARGUMENT, IMAGE_UNREADABLE: images\[0\]: .* \(request [0-9a-f-]{36}\)$", told)


def test_node_names_a_file_that_is_not_there(node: Run) -> None:
    told = node("image_to_text.mjs", "nope.png", expected_code=1)

    assert told == "error: ENOENT: no such file or directory, open 'nope.png'\n"


@pytest.mark.parametrize("name", ["text_to_image.mjs", "image_to_text.mjs"])
def test_node_says_that_no_gateway_answers(node: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "picture-7.png").write_bytes(picture_file())
    nowhere = f"127.0.0.1:{free_port()}"

    told = node(name, expected_code=1, address=nowhere)

    assert told.startswith("error: UNAVAILABLE: No connection established")
    assert told.endswith(f"is a gateway running at {nowhere}? start one: diptych up\n")
    assert told.count("\n") == 2


def test_lock_of_node_names_versions_and_digests_and_no_registry() -> None:
    packages = json.loads((EXAMPLES / "node" / "package-lock.json").read_text("utf-8"))["packages"]
    installed = [package for name, package in packages.items() if name]
    assert len(installed) > 10
    for package in installed:
        assert package["integrity"].startswith("sha512-") and package["version"]
        assert "resolved" not in package


def test_page_names_every_example() -> None:
    page = (EXAMPLES / "README.md").read_text("utf-8")
    files = [path for kind in ("*.py", "*.mjs", "*.proto") for path in EXAMPLES.glob(f"*/{kind}")]
    assert len(files) >= 8
    assert [path.name for path in files if f"`{path.relative_to(EXAMPLES).as_posix()}`" not in page] == []
