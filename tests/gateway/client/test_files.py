"""Picture files are written whole or not at all, wherever they are written to."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.client.files import write_whole


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """A file system that is full after so many bytes of a file, as far as this process is concerned."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_new_file_has_the_bytes_and_the_mode_that_any_new_file_has(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "cat.png", b"12345")
    assert (tmp_path / "cat.png").read_bytes() == b"12345"
    assert (tmp_path / "cat.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_file_system_without_room_keeps_the_old_picture_and_leaves_no_new_one(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"a good picture")
    for name in ("cat.png", "dog.png"):
        with room_for(1000), pytest.raises(OSError, match="File too large"):
            write_whole(tmp_path / name, bytes(100_000))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("cat.png", b"a good picture")]


def test_file_that_is_replaced_keeps_its_mode_and_the_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"old")
    (tmp_path / "cat.png").chmod(0o640)
    (tmp_path / "link.png").symlink_to("cat.png")
    write_whole(tmp_path / "link.png", b"new")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "cat.png").read_bytes() == b"new"
    assert (tmp_path / "cat.png").stat().st_mode & 0o777 == 0o640


def test_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_whole(tmp_path / "pipe", b"12345")
    reader.join()
    assert read == [b"12345"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"] and not (tmp_path / "pipe").is_file()


def test_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "cat.png", b"1")
