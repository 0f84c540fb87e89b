"""Drawings are found by table, by slug or by an older name, and by nothing looser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.training.data.drawings import find_drawings, icon_slug, normalise_hexcode, read_drawings
from services.training.data.sources import OLDER_NAMES, SOURCES, Source
from tests.services.training.data.art import APPLE, FOX, square, write_bitmap, write_icons, write_json

BY_SLUG = next(source for source in SOURCES if source.style == "emojione")
BITMAPS = next(source for source in SOURCES if not source.icons)
BY_TABLE = next(source for source in SOURCES if source.style == "fluent-color")


def find(root: Path, icons: list[str], labels: dict[str, str], *, source: Source = BY_SLUG) -> dict[str, str]:
    """What is found in a set of `icons` when `fox` was once called `fox-face` and `toy` once `pistol`."""
    for package in OLDER_NAMES:
        aliases = {"fox-face": {"parent": "fox"}, "pistol": {"parent": "toy"}}
        write_icons(root / package, {"fox": square("red")}, aliases=aliases)
        write_json(root / package / "chars.json", {FOX.lower(): "fox", "1f52b": "toy"})
    write_icons(root / source.package, {name: square("red") for name in icons})
    return find_drawings(root, source, labels)


@pytest.mark.parametrize(
    ("icon", "label"),
    [
        ("fox", "fox"), ("mans-shoe", "man’s shoe"), ("pinata", "piñata"), ("woman-red-hair", "woman: red hair"),
        ("fox-face", "fox"), ("fox-1", "fox"), ("fox-face-1", "fox"), ("redapple", "red apple"),
    ],
)  # fmt: skip
def test_icon_is_found_by_slug_older_name_number_or_without_hyphens(tmp_path: Path, icon: str, label: str) -> None:
    assert find(tmp_path, [icon], {FOX: label}) == {FOX: icon}


@pytest.mark.parametrize(("icon", "label"), [("fox-cub", "fox"), ("foxes", "fox"), ("fox-2", "fox"), ("pistol", "toy")])
def test_looser_names_are_other_things(tmp_path: Path, icon: str, label: str) -> None:
    assert find(tmp_path, [icon], {FOX: label, "1F52B": "toy"}) == {}


def test_icon_that_shows_another_thing_is_left_out(tmp_path: Path) -> None:
    assert find(tmp_path, ["fox"], {FOX: "fox"}, source=replace(BY_SLUG, other_things=frozenset({"fox"}))) == {}


def test_older_name_that_is_anothers_today_stays_with_that(tmp_path: Path) -> None:
    assert find(tmp_path, ["fox-face"], {FOX: "fox", "1F600": "fox face"}) == {"1F600": "fox-face"}


def test_table_of_another_package_goes_before_the_slug(tmp_path: Path) -> None:
    write_json(tmp_path / BY_TABLE.names / "chars.json", {FOX.lower(): "reynard"})
    assert find(tmp_path, ["reynard", "fox"], {FOX: "fox"}, source=BY_TABLE) == {FOX: "reynard"}


def test_bitmaps_are_found_by_hexcode(tmp_path: Path) -> None:
    write_bitmap(tmp_path / BITMAPS.package / "assets" / "1f98a-fe0f.webp", "red")
    found = find_drawings(tmp_path, BITMAPS, {FOX: "fox", APPLE: "red apple"})
    assert found == {FOX: "1f98a-fe0f.webp"}
    ((hexcode, picture),) = read_drawings(tmp_path, BITMAPS, found)
    assert (hexcode, picture.getpixel((128, 128)), picture.getpixel((0, 0))[3]) == (FOX, (255, 0, 0, 255), 0)  # type: ignore[index]


def test_icon_that_is_not_square_is_centred_whole(tmp_path: Path) -> None:
    found = find(tmp_path, ["fox"], {FOX: "fox"})
    tall = {"body": '<rect width="8" height="16" fill="#00f"/>', "width": 8, "height": 16}
    write_icons(tmp_path / BY_SLUG.package, {"fox": tall})
    ((_, picture),) = read_drawings(tmp_path, BY_SLUG, found)
    assert picture.getchannel("A").getbbox() == (64, 0, 192, 256)


def test_hexcodes_of_all_sets_are_written_alike() -> None:
    assert normalise_hexcode("0031-fe0f-20e3") == normalise_hexcode("31-20E3") == "31-20E3"


def test_slug_is_that_of_the_icon_sets() -> None:
    assert icon_slug("woman’s hat") == "womans-hat"
