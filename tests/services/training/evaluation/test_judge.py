"""The judge: what its scores mean, what its cells are taught, and that it survives being written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.training.data.scenes.composer import ComposedScene, compose
from services.training.data.scenes.truth import Scene, SceneObject
from services.training.evaluation.judge import Judge, JudgeConfig, JudgeNetwork, read_judge, write_judge
from services.training.evaluation.judge_recipe import judge_config
from services.training.evaluation.judge_training import (
    UNDECIDED,
    JudgeTrainer,
    LabelledPool,
    fit_threshold,
    label_scene,
)
from services.training.tiny import tiny_pack
from shared.errors import ConfigurationError
from tests.services.training.data.scenes.drawings import sprites

CONFIG = JudgeConfig(
    pixels=16, objects=("cat", "dog"), colours=("red", "blue"), backgrounds=("meadow", "sea"), concepts=("cat", "house")
)


def thing(kind: str, colour: str | None) -> SceneObject:
    return SceneObject(kind=kind, colour=colour, verb=None, stance="ground", box=(0, 0, 1, 1), depth=0.5, visible=50,
                       mirrored=False, sprite=0)  # fmt: skip


def composed(instances: np.ndarray, *objects: SceneObject) -> ComposedScene:
    scene = Scene(seed=0, style="noto", background="sea", objects=objects, relations=())
    return ComposedScene(scene=scene, pixels=np.zeros((32, 32, 3), np.uint8), instances=instances)


def test_cells_are_taught_the_object_that_covers_them() -> None:
    instances = np.zeros((32, 32), np.uint8)  # cells of 8 pixels
    instances[0:8, 0:16] = 1  # two whole cells
    instances[24:32, 24:32] = 2
    labelled = label_scene(composed(instances, thing("dog", "blue"), thing("cat", None)), CONFIG)
    assert labelled.cells.tolist() == [[2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert labelled.colours[0, 0] == 1 and labelled.colours[3, 3] == UNDECIDED
    assert labelled.background == 1


def test_cell_that_an_object_only_touches_is_left_undecided() -> None:
    instances = np.zeros((32, 32), np.uint8)
    instances[0:8, 0:8], instances[0:8, 8:9] = 1, 1  # an eighth of the second cell
    assert label_scene(composed(instances, thing("cat", None)), CONFIG).cells[0].tolist() == [1, UNDECIDED, 0, 0]


def test_object_smaller_than_a_cell_has_one_nevertheless() -> None:
    instances = np.zeros((32, 32), np.uint8)
    instances[0:8, 0:8] = 1
    instances[9:11, 9:11] = 2
    cells = label_scene(composed(instances, thing("cat", None), thing("dog", None)), CONFIG).cells
    assert cells[1, 1] == 2 and cells[0, 0] == 1


class Scripted(torch.nn.Module):
    """In place of a network: a blue dog, sure of, in the two cells of the lower right edge, over the sea."""

    def forward(self, pictures: torch.Tensor) -> object:
        from services.training.evaluation.judge import Scores

        cells = torch.tensor([8.0, 0, 0]).view(1, 3, 1, 1).expand(len(pictures), 3, 4, 4).clone()
        cells[:, :, 3, 2:] = torch.tensor([0.0, 0, 8]).view(1, 3, 1)
        colours = torch.tensor([0.0, 5]).view(1, 2, 1, 1).expand(len(pictures), 2, 4, 4)
        each = torch.tensor([[0.0, 3]]).expand(len(pictures), 2)
        return Scores(cells=cells, colours=colours, backgrounds=each, concepts=each)


def test_judge_tells_what_where_and_in_which_colour() -> None:
    judge = Judge(Scripted(), CONFIG)  # type: ignore[arg-type]
    [judgement] = judge.see(np.zeros((1, 16, 16, 3), np.uint8))
    assert set(judgement.objects) == {"dog"} and judgement.background == "sea"
    dog = judgement.objects["dog"]
    assert dog.colour == "blue"
    assert (dog.x, dog.y, dog.foot) == pytest.approx((0.75, 0.875, 1.0), abs=1e-3)
    assert judge.name_concepts(np.zeros((3, 64, 64, 3), np.uint8)) == ["house"] * 3


def test_judge_takes_pictures_of_any_size_and_number() -> None:
    judge = Judge(JudgeNetwork(CONFIG), CONFIG)
    for side in (8, 16, 64):
        assert len(judge.see(np.zeros((65, side, side, 3), np.uint8))) == 65


def test_threshold_is_where_f1_is_best() -> None:
    sure = np.array([[0.9, 0.2], [0.4, 0.35], [0.1, 0.8]], np.float32)
    assert 0.34 < fit_threshold(sure, np.array([[True, False], [True, False], [False, True]])) <= 0.4


def test_judge_survives_being_written(tmp_path: Path) -> None:
    judge = Judge(JudgeNetwork(CONFIG), replace(CONFIG, threshold=0.3))
    write_judge(judge, tmp_path, {"steps": 1})
    again = read_judge(tmp_path)
    assert again.config == judge.config
    assert torch.equal(again.network.cells.weight, judge.network.cells.weight.half().float())


def test_folder_without_a_judge_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"has no judge; `diptych train judge`"):
        read_judge(tmp_path)
    (tmp_path / "judge.json").write_text("{", "utf-8")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_judge(tmp_path)


def test_training_learns_both_kinds_of_pictures() -> None:
    torch.manual_seed(0)
    pack = tiny_pack()
    config = replace(judge_config(pack), pixels=32)
    pool = LabelledPool(sprites(), config, size=2, seed=1)
    trainer = JudgeTrainer(JudgeNetwork(config), config, pack, pool, batch=8, seed=1)
    losses = [sum(loss.item() for loss in trainer.step(0.1).values()) for _ in range(12)]
    assert losses[-1] < losses[0]


def test_pool_shows_training_scenes_alone() -> None:
    config = judge_config(tiny_pack())
    pool = LabelledPool(sprites(), config, size=2, seed=1)
    first = label_scene(compose(1 * 1_000_003 + 1, sprites(), split="train"), config)
    assert any((each.pixels == first.pixels).all() for each in pool._scenes)
