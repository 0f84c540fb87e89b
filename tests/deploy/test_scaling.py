"""The rules that scaling goes by: promtool runs them on made-up series."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from tests.deploy.scaler_checks import SCALING, adapted, recorded
from tests.test_protos import WITHOUT_A_MODEL, services


def test_rules_count_what_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no promtool: apt-get install prometheus")
    tests = SCALING.parent / "tests" / "scaling.yml"
    command = [promtool, "test", "rules", tests.name]
    result = subprocess.run(command, cwd=tests.parent, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_calls_that_bring_items_are_those_that_a_model_answers() -> None:
    """The others would make the mean call smaller, and what gateways refuse with it."""
    [pattern] = re.findall(r'method=~"([^"]+)"', recorded()["component:diptych_arrived_calls:rate30s"])
    for service in services():
        for method in service.methods:
            name = f"{service.full_name}/{method.name}"
            brings_items = method.name not in WITHOUT_A_MODEL and "gateway" not in service.full_name
            assert bool(re.fullmatch(pattern, name)) == brings_items, name


def test_prometheus_adapter_offers_what_is_recorded() -> None:
    assert set(adapted().values()) <= recorded().keys()
