"""Shards hold pictures, masks, captions and truth under WebDataset's names."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from services.training import cli
from services.training.data.scenes.composer import compose
from services.training.data.scenes.parser import parse
from services.training.data.scenes.shards import write_shards
from services.training.data.scenes.sprites import write_sprites
from services.training.data.scenes.truth import Fact
from tests.services.training.data.scenes.drawings import sprites


def contents(shard: Path) -> dict[str, bytes]:
    with tarfile.open(shard) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def test_a_shard_holds_each_scene_s_picture_mask_captions_and_truth(tmp_path: Path) -> None:
    [shard] = write_shards(sprites(), tmp_path, count=3, seed=5, split="train", report=lambda _: None)
    files = contents(shard)
    assert list(files)[:3] == ["00000000.png", "00000000.mask.png", "00000000.json"]
    scene = compose(6, sprites())
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["00000001.png"]))), scene.pixels)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(files["00000001.mask.png"]))), scene.instances)
    row = json.loads(files["00000001.json"])
    assert [each["box"] for each in row["truth"]["objects"]] == [list(each.box) for each in scene.scene.objects]
    for language in ("en", "zh"):
        facts = {Fact(kind, tuple(value)) for kind, *value in row[f"facts_{language}"]}
        assert parse(row[f"caption_{language}"], language) == facts


def test_scenes_are_spread_over_shards_and_written_alike_again(tmp_path: Path) -> None:
    done: list[int] = []

    def write(out: Path) -> list[Path]:
        return write_shards(sprites(), out, count=5, seed=0, split="test", report=done.append, scenes_a_shard=2)

    first, again = write(tmp_path / "a"), write(tmp_path / "b")
    assert [each.name for each in first] == [f"scenes-test-{number:06}.tar" for number in range(3)]
    assert [each.read_bytes() for each in first] == [each.read_bytes() for each in again]
    assert done[:5] == [1, 2, 3, 4, 5]
    assert not list(tmp_path.rglob("*.part"))


def test_the_command_writes_shards_from_the_file_of_sprites(tmp_path: Path) -> None:
    write_sprites(sprites(), tmp_path / "sprites.tar")
    options = ["scenes", "--out", str(tmp_path / "out"), "--count", "2", "--sprites", str(tmp_path / "sprites.tar")]
    assert CliRunner().invoke(cli.data, options).exit_code == 0
    assert len(contents(tmp_path / "out" / "scenes-train-000000.tar")) == 6


@pytest.mark.parametrize(("option", "value"), [("--sprites", "nowhere.tar"), ("--split", "dev")])
def test_the_command_refuses_what_it_cannot_use_in_one_sentence(tmp_path: Path, option: str, value: str) -> None:
    options = ["scenes", "--out", str(tmp_path), "--count", "1", "--sprites", str(tmp_path / "sprites.tar")]
    answer = CliRunner().invoke(cli.data, [*options, option, value])
    assert answer.exit_code == 2
    assert value in answer.output
