"""What the playground is made of: files of its own, and packages that a gateway without it does not load."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gateway.web.site import FOLDER


def test_nothing_comes_from_elsewhere() -> None:
    for file in FOLDER.iterdir():
        elsewhere = re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]+[^\s)\"']*", file.read_text("utf-8"))
        assert [url for url in elsewhere if "www.w3.org" not in url and "connectrpc.com/docs" not in url] == [], file


def test_files_of_the_page_are_short() -> None:
    lengths = {file.name: len(file.read_text("utf-8").splitlines()) for file in FOLDER.iterdir()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_script_makes_markup_of_text() -> None:
    sinks = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [file.name for file in FOLDER.glob("*.js") if sinks.search(file.read_text("utf-8"))] == []


def test_gateway_without_a_playground_loads_none_of_it() -> None:
    code = "import sys, gateway.__main__; print([name for name in ('connectrpc', 'uvicorn') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"


def test_missing_packages_are_an_error_that_says_how_to_get_them() -> None:
    code = """
import sys
sys.modules["connectrpc"] = None
from gateway.__main__ import GatewaySettings, run_server, serve
run_server("python -m gateway", lambda: GatewaySettings(port=0, web_port=0), serve)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 2
    assert "pip install 'diptych[web]'" in told.stderr.splitlines()[-1]


def _collected(without: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """pytest over these tests where a package is missing."""
    code = f"""
import sys, pytest
sys.modules[{without!r}] = None
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", {str(Path(__file__).parent)!r}]))
"""
    others = {name: value for name, value in os.environ.items() if name != "CI"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**others, **environment}
    )


def test_without_playwright_only_what_needs_a_browser_is_skipped_and_says_so() -> None:
    told = _collected("playwright.async_api")
    assert told.returncode == 0, told.stdout
    assert "test_protocols.py::" in told.stdout and "test_painting.py::" not in told.stdout
    assert "playwright is not installed" in told.stdout


def test_in_ci_playwright_is_not_missed_silently() -> None:
    told = _collected("playwright.async_api", CI="true")
    assert told.returncode != 0
    assert "ERROR tests/gateway/web/test_painting.py" in told.stdout
