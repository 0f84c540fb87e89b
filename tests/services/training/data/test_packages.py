"""Packages are downloaded once, checked against their hashes, and unpacked."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from services.training.data.packages import Package, obtain_packages
from services.training.data.sources import PACKAGES, SOURCES, TEXTS
from shared.errors import ConfigurationError


def put_tarball(cache: Path, *, content: bytes = b"{}", member: str = "package/icons.json") -> Package:
    """Puts the tarball of `@set/icons` with one file into the cache, as a download would."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(file.getvalue()).digest()).decode()
    package = Package(name="@set/icons", version="1.0.0", integrity=f"sha512-{digest}")
    (cache / "packages").mkdir(parents=True, exist_ok=True)
    (cache / "packages" / package.tarball).write_bytes(file.getvalue())
    return package


def test_package_in_the_cache_is_unpacked_without_npm(tmp_path: Path) -> None:
    package = put_tarball(tmp_path, content=b"[1]")
    heard: list[str] = []
    node_modules = obtain_packages((package,), tmp_path, heard.append)
    assert (node_modules / "@set/icons" / "icons.json").read_bytes() == b"[1]"
    assert heard == []


def test_wrong_hash_is_refused_with_both_hashes(tmp_path: Path) -> None:
    package = replace(put_tarball(tmp_path), integrity="sha512-other")
    with pytest.raises(
        ConfigurationError, match=r"is not @set/icons 1\.0\.0: its hash is sha512-.*pinned one sha512-o"
    ):
        obtain_packages((package,), tmp_path, print)


def test_tarball_that_changes_after_it_was_unpacked_is_refused(tmp_path: Path) -> None:
    package = put_tarball(tmp_path)
    obtain_packages((package,), tmp_path, print)
    (tmp_path / "packages" / package.tarball).write_bytes(b"other")
    with pytest.raises(ConfigurationError, match="delete the file and try again"):
        obtain_packages((package,), tmp_path, print)


def test_missing_package_without_npm_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    package = Package(name="@set/icons", version="1.0.0", integrity="sha512-x")
    with pytest.raises(ConfigurationError, match=r"install npm or put set-icons-1\.0\.0\.tgz there"):
        obtain_packages((package,), tmp_path, print)


def test_npm_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    silence = 'case "$*" in *--silent*) exit 1;; esac'  # as npm does: told to be silent, it says nothing of errors
    npm.write_text(f"#!/bin/sh\n{silence}\necho no such package >&2\nexit 1\n", "utf-8")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    package = Package(name="@set/icons", version="1.0.0", integrity="sha512-x")
    with pytest.raises(ConfigurationError, match=r"npm cannot download @set/icons@1\.0\.0: no such package"):
        obtain_packages((package,), tmp_path / "cache", print)


def test_file_that_would_leave_the_folder_is_not_unpacked(tmp_path: Path) -> None:
    package = put_tarball(tmp_path / "cache", member="package/../../../../out.json")
    with pytest.raises(tarfile.FilterError):
        obtain_packages((package,), tmp_path / "cache", print)
    assert not list(tmp_path.rglob("out.json"))


def test_every_source_and_the_texts_are_pinned() -> None:
    names = {package.name for package in PACKAGES}
    assert len(names) == len(PACKAGES)
    assert {source.package for source in SOURCES} | {TEXTS} == names
    assert all(package.integrity.startswith("sha512-") for package in PACKAGES)


def test_no_source_is_share_alike() -> None:
    assert {source.licence for source in SOURCES} == {"MIT", "Apache-2.0", "CC-BY-4.0"}
