"""The pins of the images agree with pyproject.toml and constraints.txt, have hashes, and hold what servers need."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.test_architecture import REPOSITORY

REQUIREMENTS = REPOSITORY / "deploy" / "requirements"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
LOCKS = ("gateway", "services-cpu", "services-cuda", "build")
EXTRAS = {"gateway": "web", "services-cpu": "services", "services-cuda": "services"}
NOT_IN_IMAGES = {"rich", "typer"}
"""Of what pyproject.toml asks for: the command line's."""
LEFT_OUT = ("rich", "typer", "shellingham", "pygments", "markdown_it", "mdurl", "huggingface_hub")

IMPORT_WITHOUT = """
import sys
for name in sys.argv[1].split():
    sys.modules[name] = None
for name in sys.argv[2].split():
    __import__(name)
"""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One package of a lock."""

    version: Version
    hashes: tuple[str, ...]


def pins(lock: str) -> dict[str, Pin]:
    """The packages of a lock, by canonical name."""
    text = (REQUIREMENTS / f"{lock}.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    found: dict[str, Pin] = {}
    for line in lines:
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        parsed = Requirement(requirement)
        [specifier] = parsed.specifier
        assert specifier.operator == "==", line
        found[canonicalize_name(parsed.name)] = Pin(version=Version(specifier.version), hashes=tuple(hashes))
    return found


def constraints() -> dict[str, Version]:
    """The versions that CI tests."""
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): Version(version) for name, version in pairs}


def asked(lock: str) -> Iterable[Requirement]:
    """What pyproject.toml asks for."""
    if lock == "build":
        return map(Requirement, PROJECT["build-system"]["requires"])
    project = PROJECT["project"]
    return map(Requirement, [*project["dependencies"], *project["optional-dependencies"][EXTRAS[lock]]])


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    for name, pin in pins(lock).items():
        assert pin.hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in pin.hashes), name


@pytest.mark.parametrize("lock", LOCKS)
def test_what_pyproject_asks_for_is_pinned_within_its_range(lock: str) -> None:
    pinned = pins(lock)
    for requirement in asked(lock):
        name = canonicalize_name(requirement.name)
        if name in NOT_IN_IMAGES:
            assert name not in pinned
        else:
            assert requirement.specifier.contains(pinned[name].version), f"{requirement}: {pinned[name].version}"


@pytest.mark.parametrize("lock", ["gateway", "services-cpu", "services-cuda"])
def test_images_hold_the_versions_that_ci_tests(lock: str) -> None:
    tested = constraints()
    differing = {
        name: (str(pin.version), str(tested.get(name)))
        for name, pin in pins(lock).items()
        if name in tested and Version(pin.version.public) != tested[name]
    }
    assert differing == {}
    untested = set(pins(lock)) - set(tested)
    assert untested == (set(pins("services-cuda")) - set(pins("services-cpu")) if lock == "services-cuda" else set())


def test_torch_variants_differ_in_torch_and_its_gpu_libraries_alone() -> None:
    cpu, cuda = pins("services-cpu"), pins("services-cuda")
    assert str(cpu.pop("torch").version.local) == "cpu"
    assert cuda.pop("torch").version.local is None
    assert {name: pin.version for name, pin in cpu.items()} == {name: cuda[name].version for name in cpu}


def test_gateway_has_no_pin_of_a_model_service() -> None:
    assert not {"torch", "numpy", "pillow", "safetensors", "tokenizers"} & set(pins("gateway"))


def test_locks_name_no_index() -> None:
    for lock in LOCKS:
        text = (REQUIREMENTS / f"{lock}.txt").read_text("utf-8")
        assert "://" not in text
        assert "index" not in text


@pytest.mark.parametrize("lock", ["gateway", "services-cpu", "services-cuda"])
def test_left_out_packages_are_in_no_lock(lock: str) -> None:
    assert not {canonicalize_name(name) for name in LEFT_OUT} & set(pins(lock))


@pytest.mark.parametrize("server", ["gateway", "text", "classification", "generation", "captioning"])
def test_server_starts_without_what_its_image_leaves_out(server: str) -> None:
    modules = ["gateway.__main__", "gateway.web.front"]
    if server != "gateway":
        modules = [f"services.{server}.__main__", f"services.{server}.predictor", "shared.inference.worker_process"]
    result = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT, " ".join(LEFT_OUT), " ".join(modules)],
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'protos'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
