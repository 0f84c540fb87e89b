"""The playground of a gateway that wants keys: over HTTP, and in the browser, where a key is typed and forgotten."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.access.keys import Key, new_key
from tests.gateway.access.given_keys import key_of, throttled, write_keys
from tests.gateway.fake_pictures import painted
from tests.gateway.web.browser import Browser, Page, expect
from tests.gateway.web.playground import HOST, SERVICE, Playground, ask, ask_json, running_playground

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEBI = 1024 * 1024
PICTURE = base64.b64encode(painted(7, 5).data).decode()
CAT = {"prompt": "a cat", "seeds": ["7"]}


@asynccontextmanager
async def playground_with_keys(file: Path, *keys: Key) -> AsyncIterator[Playground]:
    """One whose gateway wants these keys."""
    write_keys(file, *keys)
    async with running_playground(keys_file=file) as playground:
        yield playground


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.toml"


async def test_call_over_http_wants_a_key_and_is_told_why(file: Path) -> None:
    secret, key = key_of("shop", scopes=["generate"])
    async with playground_with_keys(file, key) as playground:
        good = await ask_json(playground, "TextToImage", CAT, authorization=f"Bearer {secret}", diptych_caller="other")
        assert good.status == 200
        assert playground.generation.calls[0].context.caller == "shop"
        for headers, reason in (
            ({}, "KEY_MISSING"),
            ({"authorization": "Basic eDp5"}, "KEY_MISSING"),
            ({"authorization": f"Bearer {new_key()}"}, "KEY_UNKNOWN"),
        ):
            refused = await ask_json(playground, "TextToImage", CAT, **headers)
            assert (refused.status, refused.json["code"]) == (401, "unauthenticated")
            assert reason.encode() in base64.b64decode(refused.json["details"][0]["value"] + "==")
        request = {"images": [base64.b64encode(b"1").decode()]}
        wrong = await ask_json(playground, "ImageToText", request, authorization=f"Bearer {secret}")
        assert (wrong.status, wrong.json["code"]) == (403, "permission_denied")


async def test_page_and_its_files_want_no_key(file: Path) -> None:
    async with playground_with_keys(file) as playground:
        for path in ("/", "/app.js", "/facts.json"):
            assert (await ask(playground, path)).status == 200


async def test_limits_hold_over_http_as_over_grpc(file: Path) -> None:
    secret, key = key_of("shop", calls_per_second=1e-6)
    async with playground_with_keys(file, key) as playground:
        first = await ask_json(playground, "GetCapabilities", {}, authorization=f"Bearer {secret}")
        second = await ask_json(playground, "GetCapabilities", {}, authorization=f"Bearer {secret}")
        assert (first.status, second.status) == (200, 429)
        assert second.json["code"] == "resource_exhausted"
        assert throttled(playground.platform, "calls") == 1


async def test_body_of_a_stranger_is_not_waited_for(file: Path) -> None:
    """Its bytes would count against those of callers with keys, for as long as it takes its time."""
    async with playground_with_keys(file) as playground, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(HOST, playground.port)
        head = f"POST {SERVICE}ImageToText HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: 50000000\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"401"
        writer.close()


async def test_unfinished_bodies_of_one_key_leave_room_for_those_of_others(file: Path) -> None:
    """Its calls are counted once they are there: until then, only its bytes tell that it has many."""
    greedy, its_key = key_of("greedy", concurrent_calls=1)
    secret, key = key_of("shop")
    write_keys(file, its_key, key)
    head = (
        f"POST {SERVICE}ImageToText HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {greedy}\r\ncontent-length: {MEBI}\r\n\r\n"
    ).encode()
    async with running_playground(keys_file=file, web_body_bytes=8 * MEBI) as playground, asyncio.timeout(20):
        unfinished = [await asyncio.open_connection(HOST, playground.port) for _ in range(8)]
        for _, writer in unfinished:
            writer.write(head + b" " * (MEBI - 1))
        answers = [asyncio.create_task(reader.readline()) for reader, _ in unfinished]
        while sum(each.done() for each in answers) < 4:  # of 8 MiB it may have half
            await asyncio.sleep(0.01)
        assert {each.result().split()[1] for each in answers if each.done()} == {b"429"}
        body = b" " * 3 * MEBI + json.dumps({"images": [PICTURE]}).encode()
        assert (await ask_json(playground, "ImageToText", body, authorization=f"Bearer {secret}")).status == 200
        for each in answers:
            each.cancel()
        for _, writer in unfinished:
            writer.close()


async def test_very_long_key_is_refused(file: Path) -> None:
    async with playground_with_keys(file) as playground:
        answer = await ask_json(playground, "GetCapabilities", {}, authorization=f"Bearer {'x' * 30_000}")
        assert answer.status == 401


@asynccontextmanager
async def opened(browser: Browser, playground: Playground) -> AsyncIterator[Page]:
    """The page in a browser that knows nothing yet."""
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(playground.url)
    await page.wait_for_selector("html[data-ready]")
    yield page
    await context.close()


async def test_page_asks_for_a_key_uses_it_and_forgets_it(file: Path, browser: Browser) -> None:
    secret, key = key_of("shop")
    async with playground_with_keys(file, key) as playground, opened(browser, playground) as page:
        await expect(page.locator("#health-text")).to_have_text("Key wanted")
        await expect(page.locator("#about-problem")).to_contain_text("type your key into “Key”")
        await page.get_by_label("Key").fill(secret)
        await page.get_by_role("button", name="Use key").click()
        await expect(page.locator("#health-text")).to_have_text("Ready")
        await expect(page.locator("#about-problem")).to_be_empty()
        await page.get_by_label("Prompt").fill("a cat")
        await page.get_by_role("button", name="Paint").click()
        await expect(page.locator("#gallery img")).to_have_count(4)
        # The key is nowhere to be seen or kept but in the tab's own store.
        assert secret not in page.url
        assert secret not in await page.content()
        assert await page.get_by_label("Key").input_value() == ""
        assert "$DIPTYCH_KEY" in await page.locator("#commands").inner_text()
        kept = await page.evaluate("() => JSON.stringify([{ ...localStorage }, document.cookie, history.state])")
        assert secret not in kept
        await page.reload()
        await expect(page.locator("#health-text")).to_have_text("Ready")
        await page.get_by_role("button", name="Forget key").click()
        await expect(page.locator("#health-text")).to_have_text("Key wanted")
        assert secret not in json.dumps(await page.evaluate("() => ({ ...sessionStorage })"))


async def test_wrong_key_is_told_and_can_be_typed_again(file: Path, browser: Browser) -> None:
    secret, key = key_of("shop")
    async with playground_with_keys(file, key) as playground, opened(browser, playground) as page:
        await page.get_by_label("Key").fill("wrong")
        await page.keyboard.press("Enter")
        await expect(page.locator("#about-problem")).to_contain_text("KEY_UNKNOWN")
        await page.get_by_label("Key").fill(secret)
        await page.keyboard.press("Enter")
        await expect(page.locator("#health-text")).to_have_text("Ready")


async def test_page_of_a_gateway_without_keys_asks_for_none(page: Page) -> None:
    await expect(page.get_by_label("Key")).to_be_hidden()
