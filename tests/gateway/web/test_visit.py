"""The history of a visit takes a bounded part of the browser's memory: pictures that nothing shows are let go."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import Page, expect
from tests.gateway.web.playground import Playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNTING = """
window.alive = new Set();
const [create, revoke] = [URL.createObjectURL.bind(URL), URL.revokeObjectURL.bind(URL)];
URL.createObjectURL = (blob) => { const url = create(blob); alive.add(url); return url; };
URL.revokeObjectURL = (url) => { alive.delete(url); revoke(url); };
"""
BROKEN = (
    """() => [...document.images].filter((image) => image.src.startsWith("blob:") && !alive.has(image.src)).length"""
)


@pytest_asyncio.fixture(loop_scope="session")
async def counted(page: Page) -> AsyncIterator[Page]:
    """The page, with the URLs of pictures counted; every picture on it has one that still leads somewhere."""
    await page.add_init_script(COUNTING)
    await page.reload()
    await page.wait_for_selector("html[data-ready]")
    yield page
    assert await page.evaluate(BROKEN) == 0


async def _alive(page: Page) -> int:
    return int(await page.evaluate("() => alive.size"))


async def _paint(page: Page, prompt: str) -> None:
    await page.get_by_label("Prompt").fill(prompt)
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#history .memory-words").first).to_have_text(prompt)


async def test_pictures_go_with_the_last_entry_that_has_them(counted: Page) -> None:
    await counted.locator("#count").fill("2")
    for number in range(43):
        await _paint(counted, f"cat {number}")
    await expect(counted.locator("#history li")).to_have_count(40)
    assert await _alive(counted) == 80
    await counted.get_by_role("button", name="Painted: cat 3, 2 pictures").click()
    await expect(counted.locator(".print img").first).to_have_attribute("alt", re.compile("cat 3”"))
    await counted.locator(".print").first.get_by_role("button", name="Describe").click()
    await expect(counted.locator(".caption")).to_have_count(3)
    assert await _alive(counted) == 80  # cat 3 left the history, and still hangs there and is described
    await expect(counted.get_by_role("button", name="Painted: cat 3, 2 pictures")).to_have_count(0)


async def test_picture_that_was_not_described_goes_with_the_next(counted: Page) -> None:
    await counted.locator("#top").fill("0")
    for name in ("a.png", "b.png", "c.png"):
        picture = {"name": name, "mimeType": "image/png", "buffer": painted(7, 5).data}
        await counted.locator("#file").set_input_files(picture)  # type: ignore[arg-type]  # a dict of its kind
        await expect(counted.locator("#drop-text")).to_have_text(name)
    assert await _alive(counted) == 1


async def test_history_is_bounded_in_bytes(counted: Page, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        (tmp_path / f"{name}.png").write_bytes(painted(7, 5).data + bytes(7 * 1024 * 1024))
        await counted.locator("#file").set_input_files(tmp_path / f"{name}.png")
        await expect(counted.locator(".caption")).to_have_count(3)
    await expect(counted.locator("#history li")).to_have_count(4)
    assert await _alive(counted) == 4


async def test_pictures_of_a_painting_that_was_left_stay_with_its_entry(counted: Page, playground: Playground) -> None:
    await _paint(counted, "first")
    playground.generation.delay_seconds = 0.2
    await counted.get_by_label("Prompt").fill("second")
    await counted.get_by_label("Prompt").press("Enter")
    await expect(counted.locator(".print img[alt*=second]").first).to_be_visible()
    await counted.get_by_role("button", name="Painted: first").click()
    await expect(counted.locator("#history .memory-words").first).to_have_text("second")
    await counted.get_by_role("button", name="Painted: second").click()
    await expect(counted.locator(".print img[alt*=second]").first).to_be_visible()
