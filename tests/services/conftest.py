"""Tiny models for tests of predictors."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model directory for each task, of one space."""
    from services.training.tiny import write_tiny_models

    return write_tiny_models(tmp_path_factory.mktemp("tiny"))
