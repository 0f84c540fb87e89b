"""What the tests with a browser use of playwright; where it is missing they skip, and with CI set they fail."""

from __future__ import annotations

import os

import pytest

try:
    from playwright.async_api import Browser, FilePayload, Locator, Page, async_playwright, expect
except ImportError:
    if os.environ.get("CI"):
        raise
    pytest.skip("playwright is not installed: pip install 'diptych[dev]'", allow_module_level=True)

__all__ = ["Browser", "FilePayload", "Locator", "Page", "async_playwright", "expect"]
