"""`diptych replay`: the same picture again, or why not."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from typer.testing import Result

from gateway.client import Diptych
from gateway.command_line.console import ExitCode
from gateway.png import Picture, decode_png, encode_png, read_text, with_text
from gateway.provenance import KEYWORD
from tests.gateway.command_line.command import diptych
from tests.gateway.fake_gateway import Running
from tests.ports import free_port


@pytest.fixture
def painted(gateway: Running, tmp_path: Path) -> Path:
    """A picture of it; nothing else was asked."""
    with Diptych(gateway.address) as client:
        path = client.text_to_image("a black cat", seed=7)[0].save(tmp_path / "cat.png")
    gateway.behaviour.calls.clear()
    return path


def _replay(gateway: Running, *arguments: object) -> Result:
    return diptych("replay", *arguments, "--address", gateway.address)


def _paintings(gateway: Running) -> int:
    return sum(hasattr(call.request, "prompt") for call in gateway.behaviour.calls)


def test_same_models_paint_the_same_picture(gateway: Running, painted: Path) -> None:
    result = _replay(gateway, painted)
    assert (result.exit_code, result.stdout) == (ExitCode.OK, f"{painted}: same picture\n")
    sent = gateway.behaviour.calls[-1].request
    assert (sent.prompt, list(sent.seeds), sent.space) == ("a black cat", [7], "space-a")


def test_other_pixels_are_told_by_the_exit_code(gateway: Running, painted: Path) -> None:
    gateway.behaviour.shade = 1
    result = _replay(gateway, painted)
    assert result.exit_code == ExitCode.PARTLY
    assert result.stdout.startswith(f"{painted}: different picture")


def test_altered_file_is_not_painted_again(gateway: Running, painted: Path) -> None:
    told = read_text(painted.read_bytes(), KEYWORD)
    assert told is not None
    picture = decode_png(painted.read_bytes())
    rows = [b"\xff" * len(picture.rows[0]), *picture.rows[1:]]
    altered = encode_png(Picture(width=picture.width, height=picture.height, rows=rows))
    painted.write_bytes(with_text(altered, KEYWORD, told))
    result = _replay(gateway, painted)
    assert result.exit_code == ExitCode.PARTLY
    assert result.stdout.startswith(f"{painted}: altered: its pixels are not those that were painted")
    assert _paintings(gateway) == 0


@pytest.mark.parametrize("service", ["text", "generation"])
def test_other_weights_are_refused_before_painting_naming_both(gateway: Running, painted: Path, service: str) -> None:
    recorded = gateway.behaviour.digests[service][:12]
    gateway.behaviour.digests[service] = "c" * 64
    result = _replay(gateway, painted)
    assert result.exit_code == ExitCode.REFUSED
    assert f"painted with the {service} model fake-{service} 1 (digest {recorded}, space space-a)" in result.stderr
    assert f"this gateway serves fake-{service} 1 (digest cccccccccccc, space space-a)" in result.stderr
    assert "name a gateway that has it with --address" in result.stderr
    assert _paintings(gateway) == 0


def test_space_that_is_not_served_is_refused_before_painting_naming_both(gateway: Running, painted: Path) -> None:
    gateway.behaviour.space = "space-b"
    result = _replay(gateway, painted)
    assert result.exit_code == ExitCode.REFUSED
    assert "space space-a)" in result.stderr and "space space-b)" in result.stderr
    assert _paintings(gateway) == 0


def test_prompt_that_the_file_keeps_to_itself_is_an_option(gateway: Running, tmp_path: Path) -> None:
    with Diptych(gateway.address) as client:
        path = client.text_to_image("a secret", seed=7, embed_prompt=False)[0].save(tmp_path / "s.png")
    result = _replay(gateway, path)
    assert result.exit_code == ExitCode.USAGE
    assert "does not hold its prompt (embed_prompt was false); say it with --prompt" in result.stderr
    assert _replay(gateway, path, "--prompt", "a secret").stdout == f"{path}: same picture\n"
    assert gateway.behaviour.calls[-1].request.embed_prompt is False
    other = _replay(gateway, path, "--prompt", "another thing")
    assert other.exit_code == ExitCode.PARTLY
    assert "is the prompt the one that it was painted with?" in other.stdout


def test_prompt_against_that_of_the_file_is_refused(gateway: Running, painted: Path) -> None:
    result = _replay(gateway, painted, "--prompt", "a dog")
    assert result.exit_code == ExitCode.USAGE
    assert "holds another prompt ('a black cat'); leave --prompt out" in result.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (encode_png(Picture(width=1, height=1, rows=[b"abc"])), "does not say where it comes from"),
        (b"\xff\xd8\xff\xe0 JPEG", "not a PNG file; only PNG files that Diptych painted"),
        (b"", "not a PNG file"),
        (with_text(encode_png(Picture(width=1, height=1, rows=[b"abc"])), KEYWORD, "{"), "damaged provenance"),
    ],
)
def test_file_without_provenance_says_so(gateway: Running, tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "file.png").write_bytes(content)
    result = _replay(gateway, tmp_path / "file.png")
    assert result.exit_code == ExitCode.USAGE
    assert told in result.stderr and result.stderr.count("\n") == 1


def test_file_of_more_pixels_than_pictures_have_is_refused(gateway: Running, painted: Path) -> None:
    data = bytearray(painted.read_bytes())
    data[16:24] = struct.pack(">II", 30_000, 30_000)
    painted.write_bytes(data)
    result = _replay(gateway, painted)
    assert result.exit_code == ExitCode.USAGE
    assert "PNG of 30000 x 30000 pixels; the limits are 16000000 in all and 8192 a side" in result.stderr


def test_file_whose_name_is_not_utf_8_is_told_as_any_other(gateway: Running, painted: Path) -> None:
    path = painted.rename(painted.with_name(os.fsdecode(b"cat\xff.png")))
    gateway.behaviour.digests["text"] = "c" * 64
    result = _replay(gateway, path)
    assert result.exit_code == ExitCode.REFUSED
    assert "cat\ufffd.png was painted with the text model" in result.stderr


def test_several_files_are_each_told_and_one_that_cannot_be_tried_stops_no_other(
    gateway: Running, painted: Path, tmp_path: Path
) -> None:
    (tmp_path / "file.png").write_bytes(b"text")
    result = _replay(gateway, tmp_path / "file.png", painted)
    assert result.exit_code == ExitCode.PARTLY
    assert result.stdout == f"{painted}: same picture\n"
    assert "file.png: not a PNG file" in result.stderr


def test_missing_one_of_several_stops_no_other_and_a_folder_stands_for_its_png_files(
    gateway: Running, painted: Path, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"not looked at")
    result = _replay(gateway, tmp_path / "none.png", tmp_path, f"{tmp_path}/*.png")
    assert result.exit_code == ExitCode.PARTLY
    assert result.stdout == f"{painted}: same picture\n"
    assert result.stderr == f"error: {tmp_path}/none.png: no such file or folder\n"


def test_only_file_that_is_missing_or_huge_is_wrong_usage(gateway: Running, tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(1024**4)
    for name, told in (("none.png", "no such file or folder"), ("huge.png", f"the file has {1024**4} bytes")):
        result = _replay(gateway, tmp_path / name)
        assert result.exit_code == ExitCode.USAGE
        assert result.stderr.startswith(f"error: {tmp_path}/{name}: {told}")


def test_no_gateway_ends_the_command(painted: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    result = diptych("replay", painted, painted, "--address", nowhere, "--retries", 0)
    assert result.exit_code == ExitCode.UNAVAILABLE
