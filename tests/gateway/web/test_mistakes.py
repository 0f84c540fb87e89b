"""Mistakes in Chromium: the page refuses what it can before it is sent, in the words of its own controls."""

from __future__ import annotations

import asyncio

import pytest

from shared.codes import Reason
from shared.errors import CallError, InternalError, InvalidArgumentError, OverloadedError
from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import FilePayload, Page, expect
from tests.gateway.web.playground import Playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE: FilePayload = {"name": "cat.png", "mimeType": "image/png", "buffer": painted(7, 5).data}
IN_PAINTING = [
    ("prompt", " ", "The prompt is empty.", "type what you want to see into “Prompt”"),
    ("prompt", "猫" * 502, "The prompt has 502 characters; the limit is 500.", "shorten it by 2 characters"),
    ("count", "0", "Pictures is 0; it must be a whole number from 1 to 16.", "into “Pictures”"),
    ("count", "17", "Pictures is 17; it must be a whole number from 1 to 16.", "into “Pictures”"),
    ("candidates", "1.5", "Choose from is 1.5; it must be a whole number from 1 to 16.", "into “Choose from”"),
    ("candidates", "3", "Choose from is 3, with 4 pictures to keep.", "type 4 or more into “Choose from”"),
    ("seed", "abc", "Seed is abc; it must be a whole number from 0.", "leave it empty for a random one"),
    ("seed", "-1", "Seed is -1; it must be a whole number from 0.", "type a whole number into “Seed”"),
]
IN_DESCRIBING = [
    ("captions", "0", "Captions is 0; it must be a whole number from 1 to 16.", "into “Captions”"),
    ("top", "-3", "Labels is -3; it must be a whole number from 1", "into “Labels”"),
    ("top", "1.5", "Labels is 1.5; it must be a whole number from 1", "into “Labels”"),
    ("labels", ",".join(map(str, range(257))), "There are 257 labels of your own; the limit is 256.", "leave 256"),
    ("labels", "cat," + "x" * 501, "Label 2 of your own has 501 characters; the limit is 500.", "shorten it by 1"),
]


@pytest.mark.parametrize(("control", "value", "message", "remedy"), IN_PAINTING)
async def test_mistake_in_painting_is_told_before_it_is_sent(
    page: Page, playground: Playground, control: str, value: str, message: str, remedy: str
) -> None:
    await page.get_by_label("Prompt").fill("a cat")
    await page.locator(f"#{control}").fill(value)
    await page.get_by_role("button", name="Paint", exact=True).click()
    problem = page.locator("#paint-problem")
    await expect(problem).to_contain_text(message)
    await expect(problem.locator(".problem-remedy")).to_contain_text(remedy)
    await expect(page.locator(f"#{control}")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(f"#{control}")).to_be_focused()
    await expect(page.locator("[aria-invalid]")).to_have_count(1)
    assert playground.platform.text[0].calls == []


async def test_quality_is_checked_where_there_is_one(page: Page) -> None:
    await page.get_by_label("Prompt").fill("a cat")
    await page.get_by_label("File", exact=True).select_option("JPEG")
    await page.locator("#quality").fill("101")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#paint-problem")).to_contain_text("Quality is 101; it must be a whole number from 1")
    await page.get_by_label("File", exact=True).select_option("PNG")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator(".print:not(.waiting)")).to_have_count(4)
    await expect(page.locator("[aria-invalid]")).to_have_count(0)


async def test_what_is_no_number_at_all_is_a_mistake_too(page: Page, playground: Playground) -> None:
    await page.locator("#count").fill("")
    await page.locator("#count").press_sequentially("1e")
    await page.get_by_label("Prompt").fill("a cat")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#paint-problem")).to_contain_text("Pictures is no number; it must be a whole number")
    assert playground.platform.text[0].calls == []


@pytest.mark.parametrize(("control", "value", "message", "remedy"), IN_DESCRIBING)
async def test_mistake_in_describing_is_told_and_leaves_the_words_before_it(
    page: Page, playground: Playground, control: str, value: str, message: str, remedy: str
) -> None:
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator(".caption")).to_have_count(3)
    await page.locator(f"#{control}").fill(value)
    await page.get_by_role("button", name="Describe", exact=True).click()
    problem = page.locator("#describe-problem")
    await expect(problem).to_contain_text(message)
    await expect(problem.locator(".problem-remedy")).to_contain_text(remedy)
    await expect(page.locator(f"#{control}")).to_be_focused()
    await expect(page.locator(".caption")).to_have_count(3)
    assert len(playground.platform.classification[0].calls) == 1


async def test_empty_file_is_not_even_sent(page: Page, playground: Playground) -> None:
    await page.locator("#file").set_input_files({"name": "void.png", "mimeType": "image/png", "buffer": b""})
    await expect(page.locator("#describe-problem")).to_contain_text("void.png is empty: it has 0 bytes.")
    await expect(page.locator("#describe-problem")).to_contain_text("What to do: choose another file.")
    assert playground.platform.classification[0].calls == []


@pytest.mark.parametrize(
    ("error", "told", "remedy"),
    [
        (
            InvalidArgumentError("images[0]: ends too early", reason=Reason.IMAGE_DAMAGED, field="images[0]"),
            "cat.png ends too early.",
            "choose another copy of it",
        ),
        (
            InvalidArgumentError("language is fr; …", reason=Reason.LANGUAGE_UNKNOWN, field="language"),
            "Language is fr; ….",
            "choose another language",
        ),
        (OverloadedError("full", reason=Reason.QUEUE_FULL), "full", "fewer pictures at once are sooner done"),
        (InternalError("broken", reason=Reason.DEFECT), "broken", Reason.DEFECT.remedy),
    ],
    ids=lambda each: each.reason.name if isinstance(each, CallError) and each.reason else "",
)
async def test_refusal_of_the_gateway_is_told_in_the_terms_of_the_page(
    page: Page, playground: Playground, error: CallError, told: str, remedy: str
) -> None:
    playground.platform.captioning[0].behaviour.error = lambda: error
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator("#describe-problem .problem-message")).to_contain_text(told)
    await expect(page.locator("#describe-problem .problem-remedy")).to_contain_text(remedy)


async def test_description_that_fails_or_is_cancelled_leaves_the_words_of_the_same_picture(
    page: Page, playground: Playground
) -> None:
    captioning = playground.platform.captioning[0].behaviour
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator(".caption")).to_have_count(3)
    captioning.error = lambda: OverloadedError("full", reason=Reason.QUEUE_FULL)
    await page.get_by_role("button", name="Describe", exact=True).click()
    await expect(page.locator("#describe-problem")).to_contain_text("RESOURCE_EXHAUSTED")
    await expect(page.locator(".caption")).to_have_count(3)
    captioning.reset()
    captioning.delay_seconds = 60
    await page.get_by_role("button", name="Describe", exact=True).click()
    await asyncio.wait_for(captioning.called.wait(), 20)
    await page.locator("#describe-cancel").click()
    await expect(page.locator("#describe-cancel")).to_be_hidden()
    await expect(page.locator(".caption")).to_have_count(3)


async def test_words_of_one_picture_do_not_stay_below_another(page: Page, playground: Playground) -> None:
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator(".caption")).to_have_count(3)
    playground.platform.captioning[0].behaviour.error = lambda: OverloadedError("full", reason=Reason.QUEUE_FULL)
    await page.locator("#file").set_input_files({**PICTURE, "name": "other.png"})
    await expect(page.locator("#describe-problem")).to_contain_text("RESOURCE_EXHAUSTED")
    await expect(page.locator(".caption")).to_have_count(0)


async def test_call_that_fails_offers_no_commands(page: Page, playground: Playground) -> None:
    playground.generation.error = lambda: OverloadedError("full", reason=Reason.QUEUE_FULL)
    await page.get_by_label("Prompt").fill("a dog")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#paint-problem")).to_contain_text("RESOURCE_EXHAUSTED")
    await expect(page.locator("#terminal")).to_be_hidden()
    playground.reset()
    await page.get_by_label("Prompt").fill("a cat")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#commands")).to_contain_text("'a cat'")
    await page.get_by_label("Prompt").fill(" ")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#paint-problem")).to_contain_text("The prompt is empty")
    await expect(page.locator("#commands")).to_contain_text("'a cat'")


@pytest.mark.parametrize("missing", ["facts.json", "GetCapabilities"])
async def test_page_without_its_gateway_says_so_and_comes_back(
    page: Page, playground: Playground, missing: str
) -> None:
    await page.route(f"**/{missing}", lambda route: route.abort())
    await page.reload()
    await expect(page.locator("#health-text")).to_have_text("No answer")
    await expect(page.locator("#about-problem")).to_contain_text("see whether the gateway still runs")
    await page.unroute(f"**/{missing}")
    await page.locator("#about-problem").get_by_role("button", name="Try again").click()
    await expect(page.locator("#health-text")).to_have_text("Ready")
    await expect(page.locator("#about-problem")).to_be_hidden()


async def test_page_comes_back_by_itself(page: Page) -> None:
    await page.route("**/facts.json", lambda route: route.abort())
    await page.reload()
    await expect(page.locator("#health-text")).to_have_text("No answer")
    await page.unroute("**/facts.json")
    await expect(page.locator("#health-text")).to_have_text("Ready")
