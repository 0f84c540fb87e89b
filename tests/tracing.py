"""Whether the packages that traces need are there: the base package is tested without them."""

from __future__ import annotations

import importlib.util
import os

import pytest


def require_tracing() -> None:
    """Skips a module of tests where the extra is not installed; fails where CI has installed the others."""
    if importlib.util.find_spec("opentelemetry") and importlib.util.find_spec("opentelemetry.exporter"):
        return
    if os.environ.get("CI") and importlib.util.find_spec("torch"):
        raise pytest.UsageError("the packages for traces are missing: pip install 'diptych[tracing]'")
    pytest.skip("the base package is tested without the extra for traces", allow_module_level=True)
