"""Fixtures: a platform under traffic that a real Prometheus watched, for all tests that look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.prometheus.programs import program
from tests.deploy.prometheus.watched import Watched, watched_platform
from tests.end_to_end.conftest import other_models, run_mark, tiny_models
from tests.end_to_end.servers import Launcher

__all__ = ["other_models", "run_mark", "tiny_models"]


@pytest.fixture(scope="session")
def watched(
    tiny_models: dict[str, Path],
    other_models: dict[str, Path],
    run_mark: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """A platform whose traffic is over; its servers still run."""
    program("prometheus")
    here, elsewhere = (
        Launcher(models, tmp_path_factory.mktemp("logs"), run_mark) for models in (tiny_models, other_models)
    )
    try:
        with watched_platform(here, elsewhere, tmp_path_factory.mktemp("prometheus")) as seen:
            yield seen
    finally:
        here.stop_all()
        elsewhere.stop_all()
