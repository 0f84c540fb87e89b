"""Stand-ins for the images that a registry would give: Debian with this machine's Python, and Prometheus from Debian.

They have the names of the real ones, so that Dockerfile and Compose file are used as they are.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.containers.machine import KEPT, RUN, program, run

PYTHON = "docker.io/library/python:3.11-slim-bookworm"
LIBRARIES = (
    "ca-certificates", "netbase", "tzdata", "libbz2-1.0", "libdb5.3", "libexpat1", "libffi8", "libgdbm6", "liblzma5",
    "libncursesw6", "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
)  # fmt: skip
"""What Python's own extension modules load."""
NOT_COPIED = ("test", "idlelib", "tkinter", "turtledemo", "lib2to3", "config-*", "__pycache__", "site-packages")


def podman(*arguments: str | Path, seconds: float = 300) -> str:
    """Runs podman on the kept storage; crun fails where cgroups are mixed, so runc."""
    return run([*podman_command(), *arguments], seconds=seconds)


def podman_command() -> Sequence[str]:
    """The program with the options that every use has."""
    return [
        program("podman"), "--root", str(KEPT / "podman"), "--runroot", str(RUN / "podman"),
        "--storage-driver", "overlay", "--runtime", program("runc"), "--cgroup-manager", "cgroupfs",
    ]  # fmt: skip


def has_image(name: str) -> bool:
    """Whether podman has it."""
    return name in podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()


def make_python_image() -> None:
    """Debian bookworm with the Python that runs these tests in /usr/local, and pip beside it."""
    if has_image(PYTHON):
        return
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        root = Path(folder) / "root"
        run(
            [
                program("mmdebstrap"), "--mode=root", "--variant=minbase", f"--include={','.join(LIBRARIES)}",
                "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*", "bookworm", root,
            ],
            seconds=300,
        )  # fmt: skip
        # The machine's way to Debian's packages is also the image's, whatever it is.
        settings = [line for line in run(["apt-config", "dump"]).splitlines() if line.startswith("Acquire::")]
        (root / "etc/apt/apt.conf.d/99machine").write_text("\n".join([*settings, ""]))
        _copy_python(root / "usr/local")
        run(["chroot", root, "ldconfig"])
        archive = Path(folder) / "root.tar"
        run(["tar", "--create", "--file", archive, "--directory", root, "."], seconds=120)
        podman("import", "--change", "CMD python3", archive, PYTHON)


def _copy_python(prefix: Path) -> None:
    source, version = Path(sys.base_prefix), f"python3.{sys.version_info.minor}"
    shutil.copytree(source / "lib" / version, prefix / "lib" / version, symlinks=True, ignore=_not_copied)
    packages = prefix / "lib" / version / "site-packages"
    packages.mkdir()
    for package in (source / "lib" / version / "site-packages").glob("pip*"):
        shutil.copytree(package, packages / package.name)
    for library in (source / "lib").glob("libpython3*.so*"):
        shutil.copy2(library, prefix / "lib", follow_symlinks=False)
    shutil.copy2(source / "bin" / version, prefix / "bin" / version)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(version)


def _not_copied(folder: str, names: list[str]) -> set[str]:
    top = Path(folder).name.startswith("python3.")
    return set(shutil.ignore_patterns(*NOT_COPIED)(folder, names)) if top else {"__pycache__"} & set(names)


def make_monitoring_image(name: str, package: str, programs: Sequence[str], data: str) -> None:
    """An image with programs of a Debian package where the real one has them, and a busybox, as that has.

    Args:
        name: of the image, as the Compose file has it, with its tag.
        package: of Debian.
        programs: the first is what the container runs.
        data: the folder that belongs to nobody.
    """
    if has_image(f"docker.io/{name}"):
        return
    with tempfile.TemporaryDirectory(dir=KEPT) as text:
        folder = Path(text)
        shutil.chown(folder, "_apt")  # who downloads
        run(["sh", "-c", f"cd {folder} && apt-get download {package} busybox"], seconds=120)
        for file in folder.glob("*.deb"):
            run(["dpkg-deb", "--extract", file, folder / "files"])
        for each in programs:
            shutil.copy2(folder / "files/usr/bin" / each, folder / each.removeprefix("prometheus-"))
        shutil.copy2(folder / "files/bin/busybox", folder / "busybox")
        shared = folder / "files/usr/share/prometheus"  # where Debian's Alertmanager has its templates
        shared.mkdir(parents=True, exist_ok=True)
        names = [each.removeprefix("prometheus-") for each in programs]
        (folder / "Dockerfile").write_text(
            f"FROM {PYTHON}\n"
            f"COPY busybox {' '.join(names)} /bin/\n"
            "COPY files/usr/share/prometheus /usr/share/prometheus\n"
            f"RUN ln -s busybox /bin/wget && mkdir {data} && chown 65534:65534 {data}\n"
            "USER 65534:65534\n"
            f"WORKDIR {data}\n"
            f'ENTRYPOINT ["/bin/{names[0]}"]\n'
        )
        podman("build", "--format", "docker", "--pull=never", "--network=none", "--tag", f"docker.io/{name}", folder)
