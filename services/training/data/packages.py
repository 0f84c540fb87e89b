"""The pinned npm packages that hold the drawings: obtained once, checked against their hashes, unpacked."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError

NPM_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of one npm package; `integrity` is npm's: `sha512-` and the tarball's digest in base 64."""

    name: str
    version: str
    integrity: str

    @property
    def tarball(self) -> str:
        """The file name that `npm pack` gives it."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def obtain_packages(packages: Sequence[Package], cache: Path, report: Callable[[str], None]) -> Path:
    """Downloads what is not yet in `cache`, checks every tarball, unpacks; returns a `node_modules` folder.

    A machine without npm is served by tarballs that another one has put into `cache/packages`.

    Raises ConfigurationError when npm is missing or fails, or a tarball is not the pinned one.
    """
    tarballs, node_modules = cache / "packages", cache / "node_modules"
    tarballs.mkdir(parents=True, exist_ok=True)
    for package in packages:
        tarball = tarballs / package.tarball
        if not tarball.exists():
            report(f"downloading {package.name} {package.version}")
            _download(package, tarballs)
        _check(package, tarball)
        _unpack(package, tarball, node_modules / package.name)
    return node_modules


def _download(package: Package, folder: Path) -> None:
    npm, wanted = shutil.which("npm"), f"{package.name}@{package.version}"
    if npm is None:
        raise ConfigurationError(
            f"{wanted} is not in {folder} and npm, which would download it, is not on the path; "
            f"install npm or put {package.tarball} there"
        )
    work = folder / ".partial"  # so that what an interrupted npm leaves is never taken for the package
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        done = subprocess.run(
            [npm, "pack", wanted, "--loglevel=error", "--pack-destination", str(work)],
            check=False, capture_output=True, text=True, timeout=NPM_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"npm did not download {wanted} within {NPM_SECONDS} seconds") from None
    if done.returncode or not (work / package.tarball).is_file():
        said = " ".join((done.stderr or done.stdout).split())[:300] or f"exit code {done.returncode}"
        raise ConfigurationError(f"npm cannot download {wanted}: {said}")
    (work / package.tarball).replace(folder / package.tarball)
    shutil.rmtree(work)


def _check(package: Package, tarball: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != package.integrity:
        raise ConfigurationError(
            f"{tarball} is not {package.name} {package.version}: its hash is sha512-{digest}, "
            f"the pinned one {package.integrity}; delete the file and try again"
        )


def _unpack(package: Package, tarball: Path, folder: Path) -> None:
    """Unpacks the tarball, whose files lie below one folder, unless that was done before."""
    done = folder / ".integrity"
    if done.is_file() and done.read_text("utf-8") == package.integrity:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(tarball) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            if member.isfile():
                archive.extract(member, folder, filter="data")
    done.write_text(package.integrity, "utf-8")
