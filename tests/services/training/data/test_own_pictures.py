"""A user's own pictures are read from three formats, split by what they are, and what cannot be used is listed."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from services.training.data.own_pictures import OwnPictures, read_own_pictures, write_skipped
from shared.errors import ConfigurationError
from tests.services.training.own.drawings import COLOURS, SHAPES, draw, write_drawings


def read(data: Path, needs: str = "caption") -> OwnPictures:
    return read_own_pictures(data, 16, needs=needs, language="en")


def write_lines(folder: Path, *entries: object) -> Path:
    """my.jsonl of these entries beside one picture, one.png."""
    folder.mkdir(exist_ok=True)
    draw("circle", "red").save(folder / "one.png")
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    (folder / "my.jsonl").write_text("\n".join(lines), "utf-8")
    return folder / "my.jsonl"


def png(shape: str, colour: str) -> bytes:
    file = io.BytesIO()
    draw(shape, colour).save(file, "PNG")
    return file.getvalue()


def write_shard(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def test_json_lines_and_csv_of_the_same_entries_are_the_same(tmp_path: Path) -> None:
    lines = write_drawings(tmp_path)
    with (tmp_path / "my.csv").open("w", encoding="utf-8-sig", newline="") as file:  # as a spreadsheet saves it
        writer = csv.DictWriter(file, ["image", "caption", "label", "language"])
        writer.writeheader()
        writer.writerows(json.loads(line) for line in lines.read_text("utf-8").splitlines())
    one, other = read(lines), read(tmp_path / "my.csv")
    assert one.captions == other.captions and one.labels == other.labels and one.languages == other.languages
    assert np.array_equal(one.pixels, other.pixels) and one.pixels.shape == (50, 16, 16, 3)


def test_shards_are_read_where_they_lie(tmp_path: Path) -> None:
    write_shard(tmp_path / "b.tar", {"x/1.png": png("circle", "red"), "x/1.txt": "一个红色的圆".encode()})
    members = {
        "0.png": png("square", "blue"),
        "0.json": b'{"caption": "a blue square", "label": 7}',
        "1.txt": b"no picture",
        "2.png": png("circle", "gold"),
        "2.json": b"{",
    }
    write_shard(tmp_path / "a.tar", members)
    data = read(tmp_path)
    assert data.captions == ("a blue square", "一个红色的圆") and data.labels == ("7", "")
    assert [(one.place, one.reason[:18]) for one in data.skipped] == [
        ("a.tar:2", "its .json is not J"),
        ("a.tar:1", "has no picture"),
    ]


def test_what_cannot_be_used_is_skipped_and_listed_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(png("circle", "red")[:60])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    good = {"image": "one.png", "caption": "one"}
    lines = write_lines(
        tmp_path, good, "{", [1], {"caption": "no image"}, {"image": "one.png"}, {"image": "one.png", "caption": " "},
        {"image": "one.png", "caption": ["a"]}, {"image": "missing.png", "caption": "x"},
        {"image": "damaged.png", "caption": "x"}, {"image": "text.png", "caption": "x"},
        {"image": "folder.png", "caption": "x"}, {"image": "one\0.png", "caption": "x"},
        {"image": "one.png", "caption": "x", "language": "en>"}, {"image": "one.png", "caption": "half \ud800"},
        {"image": "\ud83d.png", "caption": "x"},
    )  # fmt: skip
    data = read(lines)
    assert data.captions == ("one",)
    write_skipped(data.skipped, tmp_path / "skipped.csv")
    listed = list(csv.reader((tmp_path / "skipped.csv").open(encoding="utf-8", newline="")))
    reasons = {place: reason for place, _, reason in listed[1:]}
    for line, reason in {
        2: "is not JSON", 3: "is list, not an object", 4: "names no image", 5: "has no caption", 6: "has no caption",
        7: "caption is list, not text", 8: "does not exist", 9: "is damaged", 10: "is not a picture of a known format",
        11: "is not a file", 12: "has a zero byte", 13: "language 'en>' is no code",
        14: "caption is no Unicode text", 15: "image is no Unicode text",
    }.items():  # fmt: skip
        assert reason in reasons[f"my.jsonl:{line}"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.txt", b"", "expected a .jsonl, .csv or .tar file"),
        ("my.jsonl", b"", "has nothing to train on: it is empty"),
        ("my.jsonl", b'{"image": "a.png"}', "all 1 entries are skipped, 1 since: has no caption"),
        ("my.jsonl", b"\xff\xfe", "is not UTF-8"),
        ("my.csv", b"file,text\n", "names no column image"),
        ("my.tar", b"no tar" * 200, "is not a tar file"),
        ("folder/", b"", r"has no \.tar file in it"),
    ],
)
def test_data_of_no_use_is_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if name.endswith("/"):
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path / name)
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read(tmp_path / "missing.jsonl")


def test_validation_among_some_rows_is_of_these_and_never_empty(tmp_path: Path) -> None:
    data = read(write_drawings(tmp_path))
    rest = np.flatnonzero(~data.held_out(0.2))
    held_out = data.held_out(0.2, rest)
    assert held_out.shape == rest.shape and held_out.sum() == 1  # none is below the share, one must be


def test_copies_of_a_picture_are_on_one_side_and_new_pictures_move_no_other(tmp_path: Path) -> None:
    data = read(write_drawings(tmp_path / "all"))
    for file in list((tmp_path / "all").glob("*.png")):
        (tmp_path / "all" / f"copy-of-{file.name}").write_bytes(file.read_bytes())
    entries = (tmp_path / "all" / "my.jsonl").read_text("utf-8")
    (tmp_path / "all" / "twice.jsonl").write_text(
        entries + entries.replace('"image": "', '"image": "copy-of-'), "utf-8"
    )
    twice = read(tmp_path / "all" / "twice.jsonl")
    held_out = data.held_out(0.2)
    assert 3 <= held_out.sum() <= 20
    assert np.array_equal(twice.held_out(0.2), np.tile(held_out, 2))
    assert data.held_out(1e-9).sum() == 1 and not data.held_out(0).any()
    folds = twice.folds(5)
    assert np.array_equal(folds[:50], folds[50:])


@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_have_equal_parts_of_each_label(tmp_path: Path, count: int) -> None:
    data = read(write_drawings(tmp_path))
    folds = data.folds(count)
    for shape in SHAPES:
        rows = np.array([label == shape for label in data.labels])
        parts = np.bincount(folds[rows], minlength=count)
        assert parts.sum() == len(COLOURS) and parts.max() - parts.min() <= 1


def test_captions_of_one_picture_share_its_pixels(tmp_path: Path) -> None:
    data = read(write_lines(tmp_path, *({"image": "one.png", "caption": text} for text in ("a", "b"))))
    assert len(data.pixels) == 1 and data.picture.tolist() == [0, 0]
