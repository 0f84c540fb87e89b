"""The page over HTTPS in a browser: it paints, and the command that it shows does the same over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificates import Authority, Secret
from tests.gateway.test_tls import running
from tests.gateway.web.browser import Browser, expect
from tests.gateway.web.test_commands import shell
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_page_paints_and_shows_commands_that_speak_tls(browser: Browser, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    gateway = Secret(tmp_path / "gateway", authority.leaf("gateway"), authority)
    port = free_port()
    async with running(gateway, gateway, web_port=port, tls_client_ca=None):
        context = await browser.new_context(ignore_https_errors=True)  # it knows our CA as little as any browser does
        page = await context.new_page()
        await page.goto(f"https://localhost:{port}/")
        await page.wait_for_selector("html[data-ready]")
        await page.get_by_label("Prompt").fill("a black cat")
        await page.get_by_role("button", name="Paint", exact=True).click()
        await expect(page.locator(".print:not(.waiting)")).not_to_have_count(0)
        command, buf = [await each.inner_text() for each in await page.locator(".command code").all()]
        assert " --tls " in command and "https://localhost:" in buf
        await shell(command, tmp_path, DIPTYCH_CA=str(authority.path))
        assert list((tmp_path / "pictures").iterdir())
        await context.close()
