"""Fixtures: a playground, and Chromium to look at it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.gateway.web.playground import Playground, running_playground

if TYPE_CHECKING:
    from tests.gateway.web.browser import Browser, Page

INSTALLED = all(importlib.util.find_spec(name) for name in ("connectrpc", "uvicorn"))
if os.environ.get("CI") and not INSTALLED and importlib.util.find_spec("torch"):
    raise pytest.UsageError("the playground's packages are missing: pip install 'diptych[web]'")
# The base package, which is tested alone as well, has no playground.
collect_ignore_glob = [] if INSTALLED else ["test_*.py"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_playground() -> AsyncIterator[Playground]:
    """One for all tests that leave it as it was."""
    async with running_playground() as running:
        yield running


@pytest.fixture
def playground(shared_playground: Playground) -> Playground:
    """The shared one, whose fakes have seen nothing yet."""
    shared_playground.reset()
    return shared_playground


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium of the system."""
    from tests.gateway.web.browser import async_playwright, expect

    if CHROMIUM is None:
        missing = "Chromium is not installed: Debian and Ubuntu: apt install chromium fonts-noto-cjk"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    expect.set_options(timeout=20_000)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, playground: Playground) -> AsyncIterator[Page]:
    """The playground's page, once it knows what the gateway can do; no script of it may fail."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    opened = await context.new_page()
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    opened.on("console", lambda line: failures.append(line.text) if "Content Security" in line.text else None)
    await opened.goto(playground.url)
    await opened.wait_for_selector("html[data-ready]")
    yield opened
    await context.close()
    assert failures == []
