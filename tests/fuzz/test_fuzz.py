"""The fuzz targets pass on their own seeds, mutations stay what they are meant to be, and a finding is told."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool

from diptych.gateway.v1 import gateway_pb2
from tests.end_to_end.servers import GRPC_SERVICES
from tests.fuzz import __main__ as program
from tests.fuzz.mutation import changed, with_checksums
from tests.fuzz.targets import CPU_SECONDS, LONGEST_SEED, TARGETS, Bounds, Finding, RequestTarget
from tests.hostile_pictures import PNG


@pytest.fixture
def atheris() -> None:
    """Skips where atheris is not installed; there are no wheels of it for other machines than x86-64."""
    if "CI" not in os.environ:
        pytest.importorskip("atheris", reason="atheris is not installed")


@pytest.mark.parametrize("name", TARGETS)
def test_target_refuses_or_answers_all_its_seeds_within_the_bounds(name: str) -> None:
    target = TARGETS[name]()
    seeds = [seed for seed in target.seeds() if len(seed) <= LONGEST_SEED]

    Bounds(target.run).settle(seeds)

    assert len(seeds) > 5


@pytest.mark.parametrize("server", GRPC_SERVICES)
def test_every_method_of_a_server_is_fuzzed(server: str) -> None:
    service = descriptor_pool.Default().FindServiceByName(GRPC_SERVICES[server])

    assert set(RequestTarget(server).platform.methods) == {
        f"{GRPC_SERVICES[server]}/{method.name}" for method in service.methods
    }


def test_changed_message_is_still_one_of_its_kind() -> None:
    chance = random.Random(0)
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", seeds=[1, 2])
    seen = set()

    for _ in range(500):
        changed(request, chance, lambda data: data + b"\0")
        raw = request.SerializeToString()
        seen.add(raw)
        assert gateway_pb2.StreamTextToImageRequest.FromString(raw).prompt == request.prompt

    assert len(seen) > 250


def test_checksums_of_a_changed_png_fit_again() -> None:
    at = PNG.index(b"IDAT") + 6
    damaged = PNG[:at] + bytes([PNG[at] ^ 1]) + PNG[at + 1 :]

    repaired = with_checksums(damaged)

    assert repaired != damaged
    assert with_checksums(repaired) == repaired
    assert with_checksums(PNG) == PNG


def test_input_that_takes_too_much_cpu_time_or_memory_is_a_finding() -> None:
    def compute(data: bytes) -> None:
        until = time.process_time() + CPU_SECONDS + 0.1
        while time.process_time() < until:
            pass

    with pytest.raises(Finding, match="s of CPU time"):
        Bounds(compute)(b"")
    with pytest.raises(Finding, match="MiB of memory"):
        Bounds(lambda data: None, most_bytes=1 << 20)(b"")


@pytest.mark.usefixtures("atheris")
def test_short_run_counts_its_inputs(tmp_path: Path) -> None:
    report = program.fuzz({"pictures": 150, "text": 150}, seed=1, findings=tmp_path)

    assert report.met, report.goals
    assert report.facts["inputs"] >= 300
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("atheris")
def test_finding_is_told_and_its_input_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = ("-m", "tests.fuzz.broken_target")

    report = program.fuzz({"broken": 100_000}, seed=1, findings=tmp_path, program=broken)

    assert not report.met
    [kept] = tmp_path.iterdir()
    assert kept.read_bytes().startswith(b"!")
    assert "found an exclamation mark" in capsys.readouterr().err
