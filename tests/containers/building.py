"""The five images, built by `make images` with podman, since dockerd of Debian cannot build from this Dockerfile."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

from tests.containers import stand_ins
from tests.containers.machine import KEPT, REPOSITORY, program, run
from tests.containers.pip_settings import named_paths, pip_settings, written
from tests.containers.stand_ins import podman, podman_command

SERVICES = ("text", "classification", "generation", "captioning")
SERVERS = ("gateway", *SERVICES)
VERSION: str = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
_BUILD_SECONDS = 900


def image(server: str) -> str:
    """The image of a server, as Compose names it."""
    return f"diptych-{server}:{VERSION}"


def build_all() -> None:
    """Builds what is not built yet."""
    KEPT.mkdir(exist_ok=True)
    stand_ins.make_python_image()
    make_images()


def make_images() -> None:
    """`make images`, with this machine's settings of pip, and what they name mounted."""
    settings = pip_settings()
    pip_file = KEPT / "pip.conf"
    pip_file.write_text(written(settings))
    volumes = [f"--volume={path}:{path}:ro" for path in named_paths(settings)]
    flags = ["--network=host", "--pull=never", f"--secret=id=pip,src={pip_file}", *volumes]
    run(
        [
            program("make"), "--no-print-directory", "images", f"ENGINE={shlex.join(podman_command())}",
            f"BUILD_FLAGS={shlex.join(flags)}",
        ],
        seconds=_BUILD_SECONDS,
    )  # fmt: skip


def build(target: str, context: Path) -> str:
    """The id of an image of another source tree, built from the layers that are there."""
    return podman(
        "build", "--quiet", "--format", "docker", "--network=none", "--pull=never", "--target", target,
        "--file", context / "deploy/Dockerfile", context, seconds=_BUILD_SECONDS,
    ).strip()  # fmt: skip


def layers(name: str) -> list[str]:
    """Digests of an image's layers, from the base up."""
    found: list[str] = described(name)["RootFS"]["Layers"]
    return found


def described(name: str) -> dict[str, Any]:
    """What `podman inspect` tells of an image."""
    [told] = json.loads(podman("image", "inspect", name))
    assert isinstance(told, dict)
    return told


def save(names: list[str], archive: Path) -> None:
    """Writes images for `docker load`, each shared layer once."""
    archive.unlink(missing_ok=True)
    podman("save", "--quiet", "--multi-image-archive", "--output", archive, *names, seconds=300)
