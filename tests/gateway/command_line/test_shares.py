"""How replicas on one machine share its CPUs and GPUs, and which options ask for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.command_line.shares import Given, shares, visible_gpus
from gateway.command_line.up import replica_counts
from shared.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Given.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_cpus_are_divided_among_the_replicas_of_a_service() -> None:
    found = shares({"text": 1, "classification": 3}, {}, cpus=8, gpus=[])
    assert found == {"text": [{}], "classification": [{"DIPTYCH_THREADS": "2"}] * 3}


def test_more_replicas_than_cpus_have_a_thread_each() -> None:
    assert shares({"text": 3}, {}, cpus=2, gpus=[]) == {"text": [{"DIPTYCH_THREADS": "1"}] * 3}


def test_threads_that_are_said_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shares({"text": 2}, {"DIPTYCH_THREADS": "3"}, cpus=8, gpus=[]) == {"text": [{}, {}]}
    monkeypatch.setenv("DIPTYCH_THREADS", "3")
    assert shares({"text": 2}, {}, cpus=8, gpus=[]) == {"text": [{}, {}]}


def test_gpus_go_round() -> None:
    found = shares({"text": 1, "generation": 3}, {"DIPTYCH_THREADS": "1"}, cpus=8, gpus=["0", "1"])
    assert [each["CUDA_VISIBLE_DEVICES"] for service in found.values() for each in service] == ["0", "1", "0", "1"]


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_device_that_is_said_is_kept(device: str) -> None:
    assert shares({"text": 1}, {"DIPTYCH_DEVICE": device}, cpus=8, gpus=["0", "1"]) == {"text": [{}]}


def test_only_gpu_is_everyones() -> None:
    assert shares({"text": 1}, {}, cpus=8, gpus=["0"]) == {"text": [{}]}


def test_gpus_are_those_that_the_environment_leaves_visible(tmp_path: Path) -> None:
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert visible_gpus(Given(), tmp_path) == ["0", "1"]
    assert visible_gpus(Given(cuda_visible_devices="3,5"), tmp_path) == ["3", "5"]
    assert visible_gpus(Given(cuda_visible_devices=""), tmp_path) == []
    assert visible_gpus(Given(), tmp_path / "absent") == []


def test_replicas_are_counted_by_service() -> None:
    assert replica_counts(["classification=2", "generation=3"]) == {"classification": 2, "generation": 3}


@pytest.mark.parametrize(
    "given", ["classification", "classification=", "classification=0", "classification=10", "gateway=2", "text=two"]
)
def test_replicas_of_nothing_or_of_no_number_are_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="expected SERVICE=NUMBER with 1 to 9"):
        replica_counts([given])


def test_service_named_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="names text twice"):
        replica_counts(["text=2", "text=3"])
