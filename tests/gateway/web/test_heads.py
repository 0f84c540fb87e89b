"""What the right panel shows of a classifier with several heads, in Chromium."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from diptych.types.v1 import model_pb2
from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import FilePayload, Locator, Page, expect
from tests.gateway.web.playground import Playground, running_playground
from tests.gateway.web.test_access import CONTRASTS, OVERFLOW, SMALLEST_CONTRAST
from tests.gateway.web.test_commands import shell

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE: FilePayload = {"name": "scene.png", "mimeType": "image/png", "buffer": painted(7, 5).data}
HEADS = (
    model_pb2.Head(name="concept", label_count=1420),
    model_pb2.Head(name="background", label_count=3),
    model_pb2.Head(name="objects", label_count=70, multi_label=True),
    model_pb2.Head(name="future-head", label_count=2, multi_label=True),
)
"""The last is none that any model has yet."""
ASKED = ["content", "concept", "background", "objects", "future-head"]
IN_ORDER = ["Objects", "Concept", "Background", "Future head"]
"""The fake's "content" is "objects"."""
BORDERS = """(bar) => [getComputedStyle(bar), getComputedStyle(bar, "::after")].map((style) => style.borderLeftWidth)"""
"""Of a bar, and of the mark in its middle."""
PARTS = "(bars) => bars.map((bar) => bar.firstChild.offsetWidth / bar.clientWidth)"
COMMON = """(services) =>
    import("/heads.js").then(({ commonHeads }) => commonHeads(services)?.map(({ name }) => name))"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playground_of_heads() -> AsyncIterator[Playground]:
    """One for the tests that leave it as it was."""
    async with running_playground(heads=HEADS) as running:
        yield running


@pytest.fixture
def playground(playground_of_heads: Playground) -> Playground:
    """What `page` shows here."""
    playground_of_heads.reset()
    return playground_of_heads


def _asked(playground: Playground) -> list[list[str]]:
    return [list(call.request.heads) for call in playground.platform.classification[0].calls]


def _head(page: Page, title: str) -> Locator:
    return page.locator("#words section", has=page.get_by_role("heading", name=title, exact=True))


async def _describe(page: Page) -> None:
    await page.locator("#file").set_input_files(PICTURE)
    await expect(page.locator(".caption")).to_have_count(3)


async def test_every_head_is_shown_and_first_what_the_picture_is_of(page: Page, playground: Playground) -> None:
    await _describe(page)
    assert _asked(playground) == [ASKED]
    await expect(page.locator(".heads h4")).to_have_text(IN_ORDER)
    await expect(page.locator(".heads .hint")).to_have_text(
        ["any of 70, each by itself", "one of 1,420", "one of 3", "any of 2, each by itself"]
    )
    background = _head(page, "Background")
    await expect(background.locator(".label-text")).to_have_text([f"en background {rank}" for rank in range(3)])
    await expect(background.locator(".percent")).to_have_text(["50 %", "25 %", "13 %"])


async def test_labels_of_a_head_are_in_the_language_chosen(page: Page) -> None:
    await page.get_by_role("radio", name="中文").check()
    await _describe(page)
    await expect(_head(page, "Objects").locator(".label-text[lang=zh]").first).to_have_text("zh objects 0")
    await expect(page.locator(".heads .label-text:not([lang=zh])")).to_have_count(0)


async def test_labels_that_each_stand_alone_look_like_scales_and_those_likelier_than_not_stand_out(page: Page) -> None:
    await _describe(page)
    each, one = _head(page, "Objects"), _head(page, "Concept")
    await expect(each.locator(".likely .percent")).to_have_text(["90 %", "70 %", "50 %"])
    await expect(one.locator(".likely .percent")).to_have_text(["50 %"])
    borders = [await bars.first.evaluate(BORDERS) for bars in (each.locator(".bar"), one.locator(".bar"))]
    assert borders == [["1px", "1px"], ["0px", "0px"]]
    widths = await each.locator(".bar").evaluate_all(PARTS)
    assert widths == pytest.approx([0.9, 0.7, 0.5, 0.3, 0.1], abs=0.02)


async def test_first_head_has_the_whole_width_and_the_others_share_it(page: Page) -> None:
    await _describe(page)
    first, *others = [await each.bounding_box() for each in await page.locator(".heads > section").all()]
    assert first is not None
    assert all(other is not None and other["width"] < first["width"] / 2 for other in others)


async def test_labels_of_ones_own_stand_beside_the_heads(page: Page, playground: Playground) -> None:
    await page.get_by_label("Labels of your own").fill("cat, dog")
    await _describe(page)
    await expect(page.locator("#words h4")).to_have_text(["Captions", "Among your labels", *IN_ORDER])
    assert sorted(_asked(playground)) == [[], ASKED]  # heads may not be named beside labels


async def test_commands_ask_the_same_heads(page: Page, tmp_path: Path) -> None:
    await _describe(page)
    (tmp_path / PICTURE["name"]).write_bytes(PICTURE["buffer"])
    command, buf = [await each.inner_text() for each in await page.locator("#commands code").all()]
    told = json.loads(await shell(command + " --json", tmp_path))
    assert list(told["heads"]) == ["objects", "concept", "background", "future-head"]
    described = json.loads(await shell(buf, tmp_path))
    assert [each["head"] for each in described["descriptions"][0]["heads"]] == ["objects", *ASKED[1:]]


async def test_history_brings_the_heads_back(page: Page, playground: Playground) -> None:
    await _describe(page)
    second: FilePayload = {"name": "second.png", "mimeType": "image/png", "buffer": painted(64, 1).data}
    await page.locator("#top").fill("1")
    await page.locator("#file").set_input_files(second)
    await expect(page.locator(".heads .label")).to_have_count(len(HEADS))
    await page.locator("#history button").last.click()
    await expect(page.locator(".heads .label")).to_have_count(5 + 5 + 3 + 2)
    assert len(_asked(playground)) == 2


async def test_gateway_says_which_heads_its_classifier_has(page: Page) -> None:
    about = page.locator(".service", has_text="looks at pictures")
    await expect(about).to_contain_text("Labels: concept 1,420, background 3, objects 70, future-head 2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_heads_fit_a_narrow_screen_and_stand_out(page: Page, scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    await page.set_viewport_size({"width": 360, "height": 740})
    await _describe(page)
    assert await page.evaluate(OVERFLOW) == 0
    contrasts = await page.evaluate(CONTRASTS)
    assert {name: ratio for name, ratio in contrasts.items() if ratio < SMALLEST_CONTRAST} == {}


async def test_model_rolled_out_since_the_page_came_is_asked_for_its_own_heads(
    page: Page, playground: Playground
) -> None:
    replica = playground.platform.classification[0]
    await _describe(page)
    await replica.stop()
    replica.behaviour.heads = HEADS[:3]
    try:
        await replica.start()
        await page.get_by_role("button", name="Describe", exact=True).click()
        await expect(page.locator(".heads h4")).to_have_text(IN_ORDER[:3])
        await expect(page.locator("#describe-problem")).to_be_empty()
        assert _asked(playground) == [ASKED, ASKED, ASKED[:4]]
        await expect(page.locator("#commands code").first).to_contain_text(
            "--heads content,concept,background,objects "
        )
    finally:
        await replica.stop()
        replica.behaviour.heads = HEADS
        await replica.start()


async def test_heads_are_looked_up_where_no_classifier_served_when_the_page_came(
    page: Page, playground: Playground
) -> None:
    replica = playground.platform.classification[0]
    await replica.set_serving(False)
    try:
        await page.reload()
        await expect(page.locator("#health-text")).to_have_text("classification not serving")
    finally:
        await replica.set_serving(True)
    await _describe(page)
    await expect(page.locator(".heads h4")).to_have_text(IN_ORDER)


async def test_only_heads_of_all_models_are_asked_while_two_serve(page: Page) -> None:
    old, new = [{"name": "concept"}], [{"name": "concept"}, {"name": "style"}]

    async def of(*models: object) -> object:
        return await page.evaluate(COMMON, [{"name": "text"}, {"name": "classification", "models": models}])

    assert await of({"maxItems": 1, "heads": new}, {"maxItems": 1, "heads": old}) == ["concept"]
    assert await of({"maxItems": 1, "heads": new}, {"maxItems": 1}) == []
    assert await of({"maxItems": 1, "heads": new}, {}) == ["concept", "style"]  # the second has not told yet
    assert await of({}) is None and await of() is None
