"""The commands that the page offers, run in a shell as they are: they do what the page did."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from gateway.provenance import read_provenance
from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPTS = ["a black cat", "一只黑猫", 'it\'s "$HOME" & `date` \\n %s <x>', "-n", "two\nlines"]
PYTHON_PATH = ":".join(str(Path(each).resolve()) for each in sys.path if each)
NAME = "it's 我的 100% cat.png"


async def shell(script: str, folder: Path, **variables: str) -> str:
    """What a POSIX shell prints, where `diptych` and `buf` are commands."""
    diptych = f"""diptych() {{ '{sys.executable}' -m gateway.command_line "$@"; }}\n"""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *("sh", "-ec", diptych + script),
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": PYTHON_PATH, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told, failed = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, failed.decode()
    return told.decode()


async def _copied(page: Page, title: str) -> str:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name=f"Copy: {title}", exact=True).click()
    await expect(page.locator("#announcer")).to_have_text("Copied")
    text: str = await page.evaluate("() => navigator.clipboard.readText()")
    assert text == await page.locator(".command", has=page.get_by_text(title, exact=True)).locator("code").inner_text()
    return text


async def _paint(page: Page, prompt: str) -> None:
    await page.locator("#count").fill("2")
    await page.locator("#candidates").fill("3")
    await page.locator("#seed").fill(str(2**63))
    await page.get_by_label("Prompt").fill(prompt)
    await page.get_by_role("button", name="Paint", exact=True).click()
    await expect(page.locator(".print:not(.waiting)")).to_have_count(2)


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_buf_call_paints_the_same_pictures(page: Page, tmp_path: Path, prompt: str) -> None:
    await _paint(page, prompt)
    answer = json.loads(await shell(await _copied(page, "buf curl"), tmp_path))
    assert [each["seed"] for each in answer["images"]] == await page.locator(".seed b").all_inner_texts()
    assert answer["images"][0]["provenance"]["prompt"] == prompt


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_command_line_paints_the_same_pictures(page: Page, tmp_path: Path, prompt: str) -> None:
    await _paint(page, prompt)
    await shell(await _copied(page, "Command line"), tmp_path)
    written = [read_provenance(file.read_bytes()) for file in (tmp_path / "pictures").glob("*.png")]
    assert {each.prompt for each in written if each} == {prompt}
    assert {str(each.seed) for each in written if each} == set(await page.locator(".seed b").all_inner_texts())


async def test_commands_describe_the_same_picture(page: Page, tmp_path: Path) -> None:
    picture = painted(7, 5).data
    (tmp_path / NAME).write_bytes(picture)
    await page.get_by_label("Labels of your own").fill("it's 5%, 猫")
    await page.locator("#file").set_input_files({"name": NAME, "mimeType": "image/png", "buffer": picture})
    caption = await page.locator(".caption-text").first.inner_text()
    assert caption in await shell(await _copied(page, "Command line"), tmp_path)
    described = json.loads(await shell(await _copied(page, "buf curl"), tmp_path))
    assert [each["text"] for each in described["descriptions"][0]["captions"]] == [caption] * 3
    assert "it's 5%" in await shell(await _copied(page, "Command line, your labels"), tmp_path)
    named = json.loads(await shell(await _copied(page, "buf curl, your labels"), tmp_path))
    assert [each["text"] for each in named["results"][0]["labels"]] == ["猫", "it's 5%"]
