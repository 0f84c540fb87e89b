"""The right panel in Chromium: pictures become captions and labels; and what was done on a visit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import FilePayload, Page, expect
from tests.gateway.web.playground import Playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE: FilePayload = {"name": "my cat.png", "mimeType": "image/png", "buffer": painted(7, 5).data}
POINT = "0.0273438 bytes"
"""What the fake captioner says of it: its red, 7, of 256."""
TRANSFER = """(bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([Uint8Array.from(bytes)], "brought.png", { type: "image/png" }));
    return transfer;
}"""


async def _choose(page: Page, picture: FilePayload = PICTURE) -> None:
    async with page.expect_file_chooser() as chooser:
        await page.get_by_role("button", name="Choose a picture").click()
    await (await chooser.value).set_files(picture)


async def test_chosen_picture_gets_captions_with_scores_and_labels_with_bars(
    page: Page, playground: Playground
) -> None:
    await _choose(page)
    await expect(page.locator(".caption-text")).to_have_text([f"en: {POINT}"] * 3)
    await expect(page.locator(".score")).to_have_text(["−0.50", "−1.50", "−2.50"])
    await expect(page.locator(".label-text")).to_have_text([f"en label {rank}" for rank in range(5)])
    await expect(page.locator(".percent")).to_have_text(["50 %", "25 %", "17 %", "13 %", "10 %"])
    widths = await page.evaluate("() => [...document.querySelectorAll('.bar-fill')].map((bar) => bar.offsetWidth)")
    assert widths == sorted(widths, reverse=True) and widths[0] > 2 * widths[-1]
    assert playground.platform.classification[0].calls[0].request.images == [PICTURE["buffer"]]


async def test_another_language_describes_again(page: Page) -> None:
    await _choose(page)
    await expect(page.locator(".caption-text[lang=en]")).to_have_count(3)
    await page.get_by_role("radio", name="中文").check()
    await expect(page.locator(".caption-text[lang=zh]").first).to_have_text(f"zh: {POINT}")
    await expect(page.locator(".label-text[lang=zh]").first).to_have_text("zh label 0")


async def test_labels_of_ones_own_are_compared(page: Page, playground: Playground) -> None:
    await page.get_by_label("Labels of your own").fill("cat, dog，一辆汽车、cat, ")
    await _choose(page)
    own = page.locator("#words section", has_text="Among your labels")
    await expect(own.locator(".label-text")).to_have_text(["一辆汽车", "dog", "cat"])  # the fake likes the last best
    await expect(page.locator("#words section", has_text="Among the model’s own")).to_be_visible()
    assert list(playground.platform.text[0].calls[0].request.texts) == ["cat", "dog", "一辆汽车"]


async def test_picture_is_dropped(page: Page) -> None:
    transfer = await page.evaluate_handle(TRANSFER, list(PICTURE["buffer"]))
    drop = page.locator("#drop")
    await drop.dispatch_event("dragover", {"dataTransfer": transfer})
    await expect(drop).to_have_class("drop over")
    await drop.dispatch_event("drop", {"dataTransfer": transfer})
    await expect(page.locator("#drop-text")).to_have_text("brought.png")
    await expect(page.locator(".caption-text").first).to_have_text(f"en: {POINT}")
    await expect(drop).not_to_have_class("over")


async def test_picture_is_pasted(page: Page) -> None:
    transfer = await page.evaluate_handle(TRANSFER, list(PICTURE["buffer"]))
    await page.evaluate(
        "(clipboardData) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }))",
        transfer,
    )
    await expect(page.locator(".caption-text").first).to_have_text(f"en: {POINT}")


async def test_painted_picture_is_described_and_its_caption_painted(page: Page, playground: Playground) -> None:
    await page.locator("#count").fill("1")
    await page.locator("#seed").fill("7")
    await page.get_by_label("Prompt").fill("five!")
    await page.get_by_label("Prompt").press("Enter")
    await page.get_by_role("button", name="Describe “five!”, seed 7").click()
    await expect(page.locator("#drop-text")).to_have_text("five-7.png")
    await page.get_by_role("button", name=f"Paint “en: {POINT}”").first.click()
    await expect(page.get_by_label("Prompt")).to_have_value(f"en: {POINT}")
    await expect(page.get_by_label("Prompt")).to_be_focused()


async def test_file_that_is_no_picture_is_told_with_its_remedy(page: Page, playground: Playground) -> None:
    refusal = "images[0]: is not a picture of a known format"
    playground.platform.classification[0].behaviour.error = lambda: InvalidArgumentError(
        refusal, reason=Reason.IMAGE_UNREADABLE, field="images[0]"
    )
    await _choose(page, {"name": "notes.png", "mimeType": "image/png", "buffer": b"hello"})
    problem = page.locator("#describe-problem")
    await expect(problem).to_contain_text("notes.png is not a picture of a known format.")
    await expect(problem.locator(".tag").nth(1)).to_have_text("IMAGE_UNREADABLE")
    await expect(problem).to_contain_text("What to do: choose a PNG, JPEG, WebP, GIF or BMP file.")
    await expect(page.locator("#drop-picture img")).to_have_count(0)


async def test_file_beyond_the_limit_is_not_even_sent(page: Page, playground: Playground, tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(bytes(9 * 1024 * 1024))
    await page.locator("#file").set_input_files(tmp_path / "large.png")
    await expect(page.locator("#describe-problem")).to_contain_text("large.png has 9.0 MiB; the limit is 8 MiB")
    await expect(page.locator("#describe-problem")).to_contain_text("IMAGE_TOO_LARGE")
    assert playground.platform.classification[0].calls == []


async def test_without_a_picture_it_says_what_is_missing(page: Page) -> None:
    await page.get_by_role("button", name="Describe", exact=True).click()
    await expect(page.locator("#describe-problem")).to_contain_text("There is no picture yet")
    await expect(page.locator("#drop")).to_be_focused()


async def test_slow_description_can_be_cancelled_with_escape(page: Page, playground: Playground) -> None:
    captioning = playground.platform.captioning[0].behaviour
    captioning.delay_seconds = 60
    await _choose(page)
    await expect(page.locator("#describe-progress")).to_contain_text("Looking at my cat.png")
    await asyncio.wait_for(captioning.called.wait(), 20)
    await page.locator("#drop").press("Escape")
    await asyncio.wait_for(captioning.cancelled.wait(), 20)
    await expect(page.locator("#describe-cancel")).to_be_hidden()
    await expect(page.locator("#describe-problem")).to_be_hidden()


async def test_newer_picture_takes_the_place_of_one_under_way(page: Page, playground: Playground) -> None:
    captioning = playground.platform.captioning[0].behaviour
    captioning.delay_seconds = 60
    await _choose(page)
    await asyncio.wait_for(captioning.called.wait(), 20)
    captioning.delay_seconds = 0
    await page.locator("#file").set_input_files(
        {"name": "second.png", "mimeType": "image/png", "buffer": painted(64, 1).data}
    )
    await expect(page.locator(".caption-text").first).to_have_text("en: 0.25 bytes")
    await asyncio.wait_for(captioning.cancelled.wait(), 20)
    await expect(page.locator("#history li")).to_have_count(1)


async def test_history_brings_back_what_was_painted_and_described(page: Page, playground: Playground) -> None:
    for prompt, seed in (("first", "1"), ("一只猫", "2")):
        await page.locator("#seed").fill(seed)
        await page.get_by_label("Prompt").fill(prompt)
        await page.get_by_label("Prompt").press("Enter")
        await expect(page.locator("#history .memory-words").first).to_have_text(prompt)
    await _choose(page)
    await expect(page.locator("#history li")).to_have_count(3)
    calls = len(playground.generation.calls)
    await page.get_by_role("button", name="Painted: first, 4 pictures").click()
    await expect(page.get_by_label("Prompt")).to_have_value("first")
    await expect(page.locator(".seed b")).to_have_text(["1", "2", "3", "4"])
    await expect(page.locator("#commands")).to_contain_text("--seed 1 ")
    await page.locator("#file").set_input_files(
        {"name": "second.png", "mimeType": "image/png", "buffer": painted(64, 1).data}
    )
    await expect(page.locator(".caption-text").first).to_have_text("en: 0.25 bytes")
    await page.get_by_role("button", name=f"Described: en: {POINT}").click()
    await expect(page.locator(".caption-text").first).to_have_text(f"en: {POINT}")
    await expect(page.locator("#drop-text")).to_have_text("my cat.png")
    assert len(playground.generation.calls) == calls
