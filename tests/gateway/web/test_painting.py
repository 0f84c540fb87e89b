"""The left panel in Chromium: prompts become pictures, and what can go wrong on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from diptych.types.v1 import image_pb2
from gateway.provenance import read_provenance
from shared.codes import Reason
from shared.errors import CallError, OverloadedError, UnavailableError
from tests.gateway.web.browser import Locator, Page, expect
from tests.gateway.web.playground import Playground

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _pictures(page: Page) -> Locator:
    return page.locator("#gallery .print:not(.waiting)")


def _places(page: Page) -> Locator:
    return page.locator("#gallery .waiting")


async def _paint(page: Page, prompt: str = "a cat", **fields: str) -> None:
    for name, value in fields.items():
        await page.locator(f"#{name}").fill(value)
    await page.get_by_label("Prompt").fill(prompt)
    await page.get_by_label("Prompt").press("Enter")


async def test_pictures_arrive_one_by_one_in_the_places_kept_for_them(page: Page, playground: Playground) -> None:
    playground.generation.gate = asyncio.Semaphore(0)
    await _paint(page, count="3", seed="7")
    await expect(_places(page)).to_have_count(3)
    for done in (1, 2):
        playground.generation.gate.release()
        await expect(_pictures(page)).to_have_count(done)
        await expect(_places(page)).to_have_count(3 - done)
        await expect(page.locator("#paint-progress")).to_contain_text(f"{done} of 3 pictures")
    playground.generation.gate.release()
    await expect(_pictures(page)).to_have_count(3)
    await expect(page.locator(".seed b")).to_have_text(["7", "8", "9"])
    await expect(page.get_by_role("img", name="“a cat”, seed 8")).to_be_visible()


async def test_random_seed_is_shown_and_paints_the_same_picture_again(page: Page) -> None:
    await _paint(page, count="1")
    seed = page.locator(".seed b")
    drawn = await seed.inner_text()
    await page.get_by_role("button", name=f"Use seed {drawn}").click()
    await expect(page.get_by_label("Seed", exact=True)).to_have_value(drawn)
    await page.get_by_role("button", name="Paint", exact=True).click()
    await expect(page.locator("#history li")).to_have_count(2)
    await expect(seed).to_have_text(drawn)


async def test_seed_may_be_the_largest_there_is(page: Page, playground: Playground) -> None:
    await _paint(page, count="1", seed=str(2**64 - 1))
    await expect(page.locator(".seed b")).to_have_text(str(2**64 - 1))
    assert playground.generation.calls[0].request.seeds == [2**64 - 1]
    await _paint(page, count="2", seed=str(2**64 - 1))
    await expect(page.locator("#paint-problem")).to_contain_text("below 2^64")


async def test_nearest_of_the_candidates_are_kept_with_their_similarity(page: Page, playground: Playground) -> None:
    await _paint(page, count="2", candidates="5", seed="10")
    await expect(_pictures(page)).to_have_count(2)
    await expect(page.locator(".seed b")).to_have_text(["14", "13"])  # the fakes' point rises with the seed
    await expect(page.locator(".similarity")).to_have_count(2)
    assert sorted(seed for call in playground.generation.calls for seed in call.request.seeds) == [10, 11, 12, 13, 14]


async def test_file_format_and_quality_are_asked_for(page: Page, playground: Playground) -> None:
    await expect(page.get_by_label("Quality")).to_be_hidden()
    await page.get_by_label("File", exact=True).select_option("JPEG")
    await _paint(page, count="1", quality="40")
    await expect(_pictures(page)).to_have_count(1)
    request = playground.generation.calls[0].request
    assert (request.format, request.quality) == (image_pb2.IMAGE_FORMAT_JPEG, 40)
    await expect(page.locator("a.tool")).to_have_attribute(
        "download", r"a-cat-" + await page.locator(".seed b").inner_text() + ".jpg"
    )


async def test_downloaded_file_holds_its_provenance(page: Page, tmp_path: Path) -> None:
    await _paint(page, "一只黑猫!", count="1", seed="7")
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download").click()
    download = await started.value
    assert download.suggested_filename == "一只黑猫-7.png"
    await download.save_as(tmp_path / "picture.png")
    provenance = read_provenance((tmp_path / "picture.png").read_bytes())
    assert provenance is not None
    assert (provenance.prompt, provenance.seed, provenance.generation_model.name) == ("一只黑猫!", 7, "fake")


async def test_seed_is_copied(page: Page) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await _paint(page, count="1", seed="123")
    await page.get_by_role("button", name="Copy seed 123").click()
    await expect(page.locator("#announcer")).to_have_text("Copied")
    assert await page.evaluate("() => navigator.clipboard.readText()") == "123"


async def test_refusal_is_shown_with_code_reason_and_remedy(page: Page) -> None:
    await _paint(page, "猫" * 501)
    problem = page.locator("#paint-problem")
    await expect(problem).to_contain_text("The prompt has 501 characters; the limit is 500.")
    await expect(problem.locator(".tag").nth(0)).to_have_text("INVALID_ARGUMENT")
    await expect(problem.locator(".tag").nth(1)).to_have_text("TEXT_TOO_LONG")
    await expect(problem).to_contain_text("What to do: shorten it by 1 character.")
    await expect(problem).to_have_attribute("role", "alert")
    await expect(page.get_by_label("Prompt")).to_have_attribute("aria-invalid", "true")
    await expect(_places(page)).to_have_count(0)
    await _paint(page)
    await expect(problem).to_be_hidden()
    await expect(_pictures(page)).to_have_count(4)


async def test_refusal_leaves_the_pictures_that_hung_before(page: Page) -> None:
    await _paint(page, count="2", seed="7")
    await expect(_pictures(page)).to_have_count(2)
    await _paint(page, " ")
    await expect(page.locator("#paint-problem")).to_contain_text("FIELD_MISSING")
    await expect(page.locator(".seed b")).to_have_text(["7", "8"])


async def test_busy_service_is_asked_again_on_demand(page: Page, playground: Playground) -> None:
    playground.generation.error = lambda: OverloadedError("full", reason=Reason.QUEUE_FULL, retry_after_seconds=2.0)
    await _paint(page)
    problem = page.locator("#paint-problem")
    await expect(problem).to_contain_text("RESOURCE_EXHAUSTED")
    await expect(problem).to_contain_text("asks to wait 2.0 s")
    playground.reset()
    await problem.get_by_role("button", name="Try again").click()
    await expect(_pictures(page)).to_have_count(4)
    await expect(problem).to_be_hidden()


async def test_error_in_the_middle_keeps_the_pictures_before_it(page: Page, playground: Playground) -> None:
    def error() -> CallError | None:
        return UnavailableError("gone", reason=Reason.MODEL_LOST) if playground.generation.gate is None else None

    playground.generation.gate = gate = asyncio.Semaphore(0)
    playground.generation.error = error
    await _paint(page, count="3")
    gate.release()
    await expect(_pictures(page)).to_have_count(1)
    playground.generation.gate = None
    for _ in range(2):
        gate.release()
    await expect(page.locator("#paint-problem")).to_contain_text("UNAVAILABLE")
    await expect(_pictures(page)).to_have_count(1)
    await expect(_places(page)).to_have_count(0)


async def test_slow_painting_shows_progress_and_can_be_cancelled(page: Page, playground: Playground) -> None:
    playground.generation.gate = asyncio.Semaphore(0)
    await _paint(page, count="4")
    cancel = page.get_by_role("button", name="Cancel")
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await expect(page.locator("#paint-progress .clock")).to_have_text("2 s")
    playground.generation.gate.release()
    await expect(_pictures(page)).to_have_count(1)
    await cancel.click()
    await expect(cancel).to_be_hidden()
    await expect(page.locator("#announcer")).to_have_text("Cancelled with 1 picture")
    await asyncio.wait_for(playground.generation.cancelled.wait(), 20)
    assert len(playground.generation.calls) == 1
    await expect(_pictures(page)).to_have_count(1)
    await expect(_places(page)).to_have_count(0)
    await expect(page.locator("#paint-problem")).to_be_hidden()


async def test_prompt_is_text_whatever_is_in_it(page: Page) -> None:
    prompt = "<img src=x onerror=\"document.title='taken'\"> & <b>bold</b>"
    await _paint(page, prompt, count="1")
    await expect(page.locator("#history .memory-words")).to_have_text(prompt)
    assert await page.title() == "Diptych"
    assert await page.locator("#history b, #gallery .mat img[src=x]").count() == 0


async def test_enter_of_an_input_method_does_not_paint(page: Page, playground: Playground) -> None:
    prompt = page.get_by_label("Prompt")
    await prompt.fill("猫")
    await expect(prompt).to_have_attribute("lang", "zh")
    await prompt.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await prompt.press("Shift+Enter")
    await expect(prompt).to_have_value("猫\n")
    assert playground.platform.text[0].calls == []


async def test_gateway_that_is_gone_is_said_so(page: Page) -> None:
    await page.route("**/StreamTextToImage", lambda route: route.abort())
    await _paint(page)
    await expect(page.locator("#paint-problem")).to_contain_text("see whether the gateway still runs")
