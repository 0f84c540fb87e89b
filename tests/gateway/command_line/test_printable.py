"""No text of others reaches the terminal as an order to it."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from gateway.client import Diptych
from gateway.command_line.console import ExitCode
from gateway.command_line.printable import escaped, printable
from gateway.command_line.up import line_printer
from gateway.png import Picture, encode_png, pixel_sha256
from gateway.provenance import embed, read_provenance
from tests.gateway.command_line.command import diptych, records
from tests.gateway.fake_gateway import Running

EVIL = "m\x1b[2J\x1b]0;OWNED\x07\x9b8m\x7f\u202egnp"
ORDERS = set("\x1b\x07\x9b\x7f\u202e")


@pytest.mark.parametrize("kept", ["a\tb\nc", "一只黑猫 🐈 café", "[red]not markup[/red]"])
def test_what_is_no_order_stays(kept: str) -> None:
    assert printable(kept) == kept == escaped(kept)


def test_orders_are_replaced_and_in_json_escaped() -> None:
    assert printable(EVIL) == "m\ufffd[2J\ufffd]0;OWNED\ufffd\ufffd8m\ufffd\ufffdgnp"
    text = escaped(json.dumps({"file": EVIL + "\udcff"}, ensure_ascii=False))
    assert not ORDERS & set(text) and text.isascii()
    assert json.loads(text) == {"file": EVIL + "\udcff"}


def test_model_that_a_file_names_is_told_without_orders(fake_gateway: Running, tmp_path: Path) -> None:
    with Diptych(fake_gateway.address) as client:
        data = client.text_to_image("cat", seed=7)[0].data
    told = read_provenance(data)
    assert told is not None
    told.text_model.name, told.text_model.digest = EVIL, "e" * 64
    pixels = encode_png(Picture(width=1, height=1, rows=[b"abc"]))
    told.pixel_sha256 = pixel_sha256(pixels)
    (tmp_path / "evil.png").write_bytes(embed(pixels, told))
    result = diptych("replay", tmp_path / "evil.png", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.REFUSED
    assert printable(EVIL) in result.stderr and not ORDERS & set(result.stderr)


def test_names_of_files_and_failed_prompts_are_told_without_orders(
    fake_gateway: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = EVIL.replace("/", "") + ".png"
    Path(name).write_bytes(b"1")
    for arguments in (("image-to-text", name), ("image-to-text", name, "--json"), ("image-to-text", name, name + "2")):
        result = diptych(*arguments, "--address", fake_gateway.address)
        assert not ORDERS & set(result.stdout + result.stderr)
    result = diptych("text-to-image", f"bad {EVIL}", "good", "-o", "out", "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.PARTLY
    assert f"failed: bad {printable(EVIL)}" in result.stderr and not ORDERS & set(result.stderr)
    assert records(tmp_path / "out/failed.jsonl")[0]["prompt"] == f"bad {EVIL}"


def test_tables_show_no_orders_and_no_markup(fake_gateway: Running) -> None:
    fake_gateway.behaviour.space = f"[red]{EVIL}"
    for command in ("status", "capabilities"):
        result = diptych(command, "--address", fake_gateway.address)
        assert "[red]m" in result.stdout and not ORDERS & set(result.stdout)


def test_lines_of_servers_are_shown_without_orders() -> None:
    shown = io.StringIO()
    line_printer(Console(file=shown))("gateway", f"[red] {EVIL}")
    assert shown.getvalue() == f"       gateway │ [red] {printable(EVIL)}\n"


def test_only_the_beginning_of_a_long_prompt_is_told(fake_gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("x" * 30_000_000 + os.linesep + "good")
    result = diptych(
        "text-to-image", "--prompts", tmp_path / "prompts", "-o", tmp_path, "--address", fake_gateway.address
    )
    assert result.exit_code == ExitCode.PARTLY
    assert "the prompt has 30000000 characters" in result.stderr or "prompt has 30000000 characters" in result.stderr
    assert len(result.stderr) < 2000


def test_only_prompt_without_end_is_refused(fake_gateway: Running, tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("x" * 30_000_000)
    result = diptych(
        "text-to-image", "--prompts", tmp_path / "prompts", "-o", tmp_path, "--address", fake_gateway.address
    )
    assert result.exit_code == ExitCode.REFUSED
    assert result.stderr.startswith("error: prompt has 30000000 characters; no gateway takes more than 8388608")
