"""Fixtures: what the commands of these tests call, and a folder of many pictures to run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway.fake_gateway import Running


@pytest.fixture
def gateway(fake_gateway: Running) -> Running:
    """The gateway of a test."""
    return fake_gateway


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: a folder `in` with fifty pictures."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for index in range(50):
        (tmp_path / f"in/{index:02}.png").write_bytes(b"x" * (index + 1))
    return tmp_path
