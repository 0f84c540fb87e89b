"""The page for everyone: by keyboard alone, by screen reader, on any screen, light and dark, with little motion."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.gateway.fake_pictures import painted
from tests.gateway.sharing import until
from tests.gateway.web.browser import Browser, Page, expect
from tests.gateway.web.playground import Playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALLEST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA."""
CONTRASTS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const channels = (colour) => {  // of any notation: red, green, blue and alpha, 0 to 1
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data].map((value) => value / 255);
    };
    const over = ([r, g, b, alpha], below) => [r, g, b].map((value, at) => value * alpha + below[at] * (1 - alpha));
    const light = (colour) => {
        const [r, g, b] = colour.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const COLOUR = /(?:rgba?|color|oklch|oklab|lab|lch|hsla?)\\([^()]*\\)|#[0-9a-f]{3,8}/gi;
    // Every colour that may be behind an element: each stop of a gradient makes one of each below it.
    const behind = (element) => {
        if (!element) {
            return [[1, 1, 1]];
        }
        const style = getComputedStyle(element);
        const filled = behind(element.parentElement).map((below) => over(channels(style.backgroundColor), below));
        const stops = style.backgroundImage.match(COLOUR) ?? [];
        return [...filled, ...stops.flatMap((stop) => filled.map((below) => over(channels(stop), below)))];
    };
    const opacity = (element) =>
        element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1;
    const contrast = (element, below) => {
        const [r, g, b, alpha] = channels(getComputedStyle(element).color);
        const seen = over([r, g, b, alpha * opacity(element)], below);
        const [one, other] = [light(seen), light(below)].sort((a, b) => b - a);
        return (one + 0.05) / (other + 0.05);
    };
    const found = {};
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (text && element.checkVisibility() && !element.closest(".visually-hidden, .skip")) {
            const name = `${element.tagName} ${element.className} ${element.id}`;
            found[name] = Math.min(found[name] ?? 99, ...behind(element).map((below) => contrast(element, below)));
        }
    }
    return found;
}"""
UNNAMED = """() => [...document.querySelectorAll("a, button, input, select, textarea")]
    .filter((element) => element.checkVisibility())
    .filter((element) => !(element.ariaLabel || element.labels?.length || element.textContent.trim()))
    .map((element) => element.outerHTML)"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def _fill_everything(page: Page) -> None:
    """Pictures, a description with own labels, history, commands, and an error below the form."""
    word = "Donaudampfschifffahrtsgesellschaftskapitän" * 4
    await page.get_by_label("Labels of your own").fill(f"{word}, dog")
    await page.locator("#file").set_input_files(
        {"name": f"{word}.png", "mimeType": "image/png", "buffer": painted(7, 5).data}
    )
    await expect(page.locator(".caption")).to_have_count(3)
    await page.get_by_label("Prompt").fill(word)
    await page.locator("#candidates").fill("6")
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator(".print:not(.waiting)")).to_have_count(4)
    await page.get_by_label("Prompt").fill("x" * 501)
    await page.get_by_label("Prompt").press("Enter")
    await expect(page.locator("#paint-problem .tag").first).to_be_visible()


async def _opened(browser: Browser, playground: Playground, options: Mapping[str, object]) -> Page:
    context = await browser.new_context(**options)  # type: ignore[arg-type]  # options by name
    page = await context.new_page()
    await page.goto(playground.url)
    await page.wait_for_selector("html[data-ready]")
    return page


@pytest.mark.parametrize("width", [360, 640, 834, 1024])
async def test_no_screen_is_too_narrow(browser: Browser, playground: Playground, width: int) -> None:
    page = await _opened(browser, playground, {"viewport": {"width": width, "height": 740}})
    assert await page.evaluate(OVERFLOW) == 0
    await _fill_everything(page)
    assert await page.evaluate(OVERFLOW) == 0
    await page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_stands_out_from_what_is_behind_it(
    browser: Browser, playground: Playground, scheme: str
) -> None:
    page = await _opened(browser, playground, {"color_scheme": scheme, "reduced_motion": "reduce"})
    await _fill_everything(page)
    contrasts = await page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert {name: ratio for name, ratio in contrasts.items() if ratio < SMALLEST_CONTRAST} == {}
    await page.context.close()


@pytest.mark.parametrize(
    ("style", "least", "most"),
    [
        ("color: #fff; background: #000", 20.9, 21),
        ("color: #777; background: #fff", 4.4, 4.5),
        ("color: #fff; background: rgb(0 0 0 / 10%)", 1.2, 1.3),  # nearly white on white
        ("color: #fff; background: #000 linear-gradient(#000, #fff)", 1, 1.01),
        ("color: #fff; background: #000 linear-gradient(rgb(255 255 255 / 50%), transparent)", 3.9, 4),
        ("color: rgb(0 0 0 / 50%); background: #fff", 3.9, 4.1),
        ("color: #000; background: #fff; opacity: 0.5", 3.9, 4),
        ("color: #fff; background: color-mix(in srgb, #000 50%, #fff)", 3.9, 4),
    ],
)
async def test_contrast_is_with_all_that_lies_behind(page: Page, style: str, least: float, most: float) -> None:
    await page.evaluate(
        """(style) => {
            document.body.innerHTML = '<div id="back"><p id="text">words</p></div>';
            document.getElementById("back").style.background = "#fff";
            document.getElementById("text").style.cssText = style;
        }""",
        style,
    )
    contrasts = await page.evaluate(CONTRASTS)
    assert least <= contrasts["P  text"] <= most


async def test_dark_screens_get_a_dark_page(browser: Browser, playground: Playground) -> None:
    page = await _opened(browser, playground, {"color_scheme": "dark"})
    dark = await page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert dark == "rgb(19, 18, 16)"
    await page.context.close()


async def test_nothing_moves_for_those_who_want_it_so(browser: Browser, playground: Playground) -> None:
    page = await _opened(browser, playground, {"reduced_motion": "reduce"})
    await _fill_everything(page)
    assert await page.evaluate("() => document.getAnimations().length") == 0
    await page.context.close()


async def test_every_control_has_a_name(page: Page) -> None:
    await _fill_everything(page)
    assert await page.evaluate(UNNAMED) == []


async def test_headings_and_regions_tell_the_structure(page: Page) -> None:
    for name in ("Words to pictures", "Picture to words", "This gateway"):
        await expect(page.get_by_role("region", name=name)).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Diptych")
    assert await page.locator("html").get_attribute("lang") == "en"


async def test_both_flows_work_by_keyboard_alone(page: Page) -> None:
    async def tab_to(name: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            focused = await page.evaluate(
                "() => (document.activeElement.ariaLabel || document.activeElement.textContent).trim()"
            )
            outline = await page.evaluate(
                "() => getComputedStyle(document.activeElement.matches('[type=radio]') "
                "? document.activeElement.nextElementSibling : document.activeElement).outlineStyle"
            )
            assert outline != "none", focused
            if focused.startswith(name):
                return
        raise AssertionError(f"Tab never came to {name}")

    choosers: list[object] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # early: nobody waits until Chromium has been told
    await page.keyboard.press("Tab")
    assert await page.evaluate("() => document.activeElement.textContent") == "Skip to the prompt"
    await page.keyboard.press("Enter")
    await page.keyboard.type("a cat")
    await page.keyboard.press("Enter")
    await expect(page.locator(".print:not(.waiting)")).to_have_count(4)
    await tab_to("Describe “a cat”")
    await page.keyboard.press("Enter")
    await expect(page.locator(".caption")).to_have_count(3)
    await tab_to("Choose a picture" if await page.locator("#drop-text").inner_text() == "Choose a picture" else "a-cat")
    await page.keyboard.press("Space")
    await until(lambda: choosers)
    await page.locator("#languages input").first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(".caption-text[lang=zh]")).to_have_count(3)
    await tab_to("Painted: a cat")
    await page.keyboard.press("Enter")
    await expect(page.locator("#gallery-title")).to_be_focused()


async def test_gateway_says_what_it_is_made_of(page: Page, playground: Playground) -> None:
    await expect(page.locator("#health-text")).to_have_text("Ready")
    await expect(page.locator(".service")).to_have_count(4)
    await expect(page.locator(".service .model").first).to_contain_text("fake 1")
    await expect(page.locator(".facts")).to_contain_text("space-a")
    await expect(page.locator("#count")).to_have_attribute("max", "16")
    await playground.platform.captioning[0].set_serving(False)
    try:
        await page.reload()
        await expect(page.locator("#health-text")).to_have_text("captioning not serving")
    finally:
        await playground.platform.captioning[0].set_serving(True)
