"""The likeliest captions or sampled ones, in Chromium: those come again with their seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import FilePayload, Page, expect
from tests.gateway.web.playground import Playground
from tests.gateway.web.test_commands import shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE: FilePayload = {"name": "cat.png", "mimeType": "image/png", "buffer": painted(7, 5).data}


async def _describe(page: Page) -> None:
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator(".caption")).to_have_count(3)


def _seeds(playground: Playground) -> list[int | None]:
    requests = [call.request for call in playground.platform.captioning[0].calls]
    return [each.sampling.seed if each.HasField("sampling") else None for each in requests]


async def test_captions_are_the_likeliest_unless_sampled_ones_are_chosen(page: Page, playground: Playground) -> None:
    await expect(page.locator("#caption-seed")).to_be_hidden()
    await _describe(page)
    await expect(page.locator("#words h4").first).to_have_text("Captions")
    await expect(page.locator("#words .seed")).to_have_count(0)
    await page.get_by_role("radio", name="Sampled").check()
    await expect(page.locator("#words h4").first).to_have_text("Captions, sampled")
    likeliest, drawn = _seeds(playground)
    assert likeliest is None and drawn is not None
    await expect(page.locator("#words .seed b")).to_have_text(str(drawn))
    await expect(page.locator(".caption-text").first).to_contain_text(f"seed {drawn} at")
    await page.get_by_role("radio", name="Likeliest").check()
    await expect(page.locator("#words h4").first).to_have_text("Captions")
    assert _seeds(playground)[2:] == [None]


async def test_drawn_seed_is_taken_up_again_and_a_large_one_stays_exact(page: Page, playground: Playground) -> None:
    await page.get_by_role("radio", name="Sampled").check()
    await _describe(page)
    drawn = await page.locator("#words .seed b").inner_text()
    await page.get_by_role("button", name=f"Use seed {drawn}").click()
    await expect(page.locator("#caption-seed")).to_be_focused()
    await expect(page.locator("#caption-seed")).to_have_value(drawn)
    await page.locator("#caption-seed").fill(str(2**64 - 1))
    await page.locator("#caption-seed").press("Enter")
    await expect(page.locator("#words .seed b")).to_have_text(str(2**64 - 1))
    assert _seeds(playground) == [int(drawn), 2**64 - 1]


@pytest.mark.parametrize(("seed", "problem"), [("-1", "from 0"), (str(2**64), "below 2^64")])
async def test_seed_that_is_none_is_told_before_it_is_sent(
    page: Page, playground: Playground, seed: str, problem: str
) -> None:
    await page.get_by_role("radio", name="Sampled").check()
    await page.locator("#caption-seed").fill(seed)
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator("#describe-problem")).to_contain_text(f"Seed is {seed}; it must be")
    await expect(page.locator("#describe-problem")).to_contain_text(problem)
    await expect(page.locator("#caption-seed")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#caption-seed")).to_be_focused()
    assert _seeds(playground) == []


async def test_seed_that_is_not_used_is_not_looked_at(page: Page, playground: Playground) -> None:
    await page.get_by_role("radio", name="Sampled").check()
    await page.locator("#caption-seed").fill("none")
    await page.get_by_role("radio", name="Likeliest").check()
    await _describe(page)
    assert _seeds(playground) == [None]


async def test_command_draws_the_same_captions(page: Page, playground: Playground, tmp_path: Path) -> None:
    await page.get_by_role("radio", name="Sampled").check()
    await _describe(page)
    (tmp_path / PICTURE["name"]).write_bytes(PICTURE["buffer"])
    captions = await page.locator(".caption-text").all_inner_texts()
    for command in await page.locator("#commands code").all():
        told = await shell(await command.inner_text(), tmp_path)
        assert all(caption in told for caption in captions)
    first, *others = _seeds(playground)
    assert first is not None and others == [first, first]


async def test_history_brings_back_how_captions_were_chosen(page: Page, playground: Playground) -> None:
    await page.get_by_role("radio", name="Sampled").check()
    await page.locator("#caption-seed").fill("5")
    await _describe(page)
    await page.get_by_role("radio", name="Likeliest").check()
    await expect(page.locator("#history li")).to_have_count(2)
    await page.locator("#history button").last.click()
    await expect(page.get_by_role("radio", name="Sampled")).to_be_checked()
    await expect(page.locator("#caption-seed")).to_have_value("5")
    await expect(page.locator("#words .seed b")).to_have_text("5")
    await expect(page.locator("#commands")).to_contain_text("--seed 5 ")
