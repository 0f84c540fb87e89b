"""Which code lives in which process: the heavy libraries in model processes only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Platform
from tests.end_to_end.servers import SERVICES


def mapped_packages(pid: int) -> set[str]:
    """Packages with a compiled part that the process has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"-packages/(\w+?)(?:\.libs)?/", maps))


@pytest.mark.parametrize("name", SERVICES)
def test_front_end_of_a_service_has_no_libtorch(name: str, platform: Platform) -> None:
    assert "libtorch" not in Path(f"/proc/{platform[name].pid}/maps").read_text()


@pytest.mark.parametrize("name", SERVICES)
def test_model_process_of_a_service_has_libtorch_and_no_grpc(name: str, platform: Platform) -> None:
    packages = mapped_packages(platform[name].model_pid())

    assert "torch" in packages
    assert "grpc" not in packages


def test_gateway_has_neither_torch_nor_numpy_nor_pillow(platform: Platform) -> None:
    packages = mapped_packages(platform.gateway.pid)

    assert "grpc" in packages
    assert not packages & {"torch", "numpy", "PIL", "pillow", "safetensors", "tokenizers"}


def test_gateway_has_no_child_process(platform: Platform) -> None:
    with pytest.raises(ValueError, match="not enough values"):
        platform.gateway.model_pid()
