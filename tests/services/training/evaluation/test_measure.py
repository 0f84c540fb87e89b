"""The whole evaluation over tiny models, plain sprites and a tiny pack: what it prints and writes."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from services.training.data.pack import write_pack
from services.training.data.scenes.sprites import write_sprites
from services.training.evaluation.judge import Judge, JudgeNetwork, write_judge
from services.training.evaluation.judge_recipe import judge_config
from services.training.evaluation.measure import RESULTS, Evaluation, Sizes, evaluate
from services.training.evaluation.served import load_served
from services.training.evaluation.sheets import COLUMNS, TILE, write_sheet
from services.training.evaluation.subjects import Subject
from services.training.tiny import tiny_pack, write_tiny_models
from shared.errors import ConfigurationError
from shared.inference.predictor import RuntimeOptions
from tests.services.training.data.scenes.drawings import sprites


class Colours(torch.nn.Module):
    """In place of the network for features: three of them, a picture's mean colour."""

    def extract_features(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.float().mean(dim=(2, 3), keepdim=True)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluation")
    pack = tiny_pack()
    write_pack(pack, root / "pack")
    write_sprites(sprites(), root / "sprites.tar")
    write_tiny_models(root / "models")
    config = judge_config(pack)
    write_judge(Judge(JudgeNetwork(config), config), root / "judge", {})
    return root


def run(root: Path, *subjects: Subject, judge: str = "judge", beside: str = "models") -> tuple[dict[str, Any], str]:
    console = Console(file=io.StringIO(), width=200)
    directories = {task: root / "models" / task for task in ("text", "classification", "captioning", "generation")}
    options = RuntimeOptions(device="cpu", precision="fp32", threads=1)
    others = {"other": load_served({"text": root / beside / "text"}, options)}
    evaluation = Evaluation(
        load_served(directories, options), others=others,
        data=root / "pack", sprites=root / "sprites.tar", judge=root / judge, out=root / "out",
        sizes=Sizes.at_most(16), console=console, feature_network=Colours,
    )  # fmt: skip
    result = evaluate(evaluation, subjects, directories, root / "out", console)
    assert isinstance(console.file, io.StringIO)
    return result, console.file.getvalue()


def test_every_subject_has_its_figures_in_table_file_and_result(workplace: Path) -> None:
    result, printed = run(workplace, *Subject)
    names = {figure["name"] for figure in result["figures"]}
    for name in ("classification.pictograms.top1", "classification.scenes.objects", "retrieval.text_to_picture.zh",
                 "retrieval.paraphrases.en", "captions.scenes.en", "captions.pictograms.zh",
                 "text_to_image.scenes.relation", "text_to_image.pictograms.top1", "text_to_image.diversity",
                 "text_to_image.scenes.fid", "text_to_image.candidates.gain"):  # fmt: skip
        assert name in names
    assert len(names) == len(result["figures"])
    for figure in result["figures"]:
        assert figure["value"] is None or (figure["low"] <= figure["high"] and figure["samples"] > 0)
    assert json.loads((workplace / "out" / RESULTS).read_text("utf-8")) == result
    assert set(result["seconds"]) == {str(subject) for subject in Subject}
    assert "retrieval R@1" in printed
    sheets = {path.name for path in (workplace / "out").glob("*.png")}
    assert {"painted-scenes.png", "painted-pictograms.png", "captions-scenes-zh.png"} <= sheets


def test_text_encoders_beside_are_of_the_same_space(workplace: Path) -> None:
    shutil.copytree(workplace / "models" / "text", workplace / "elsewhere" / "text")
    stated = workplace / "elsewhere" / "text" / "model.toml"
    stated.write_text(re.sub('space = ".*"', 'space = "elsewhere"', stated.read_text("utf-8")), "utf-8")
    with pytest.raises(ConfigurationError, match="--beside other: its space is elsewhere"):
        run(workplace, Subject.RETRIEVAL, beside="elsewhere")


def test_without_a_judge_its_figures_say_so(workplace: Path) -> None:
    (workplace / "out" / "painted-scenes.png").unlink(missing_ok=True)
    result, printed = run(workplace, Subject.TEXT_TO_IMAGE, judge="nowhere")
    assert (workplace / "out" / "painted-scenes.png").is_file()
    figures = {figure["name"]: figure for figure in result["figures"]}
    assert figures["text_to_image.scenes.object"]["reached"] == "not measured"
    assert figures["text_to_image.scenes.object"]["must"] == 0.5
    assert figures["text_to_image.candidates.gain"]["above"] == 0
    assert "there is no judge" in figures["text_to_image.pictograms.top1"]["note"]
    assert figures["text_to_image.scenes.fid"]["value"] is not None
    assert "diptych train judge" in printed


def test_quick_look_asks_for_no_more_than_it_was_given() -> None:
    assert Sizes.at_most(64).realism == Sizes.at_most(64).scenes == 64
    assert Sizes.at_most(2000).scenes == 1000
    assert Sizes.at_most(None).realism >= 5000 and Sizes.at_most(None).pictograms is None


def test_sheet_shows_the_first_pictures_in_order_and_lists_their_texts(tmp_path: Path) -> None:
    pictures = [np.full((8, 8, 3), index, np.uint8) for index in range(100)]
    write_sheet(tmp_path / "sheet.png", pictures, [f"number {index}" for index in range(99)] + ["末"])
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    step = sheet.shape[1] // COLUMNS
    assert [int(sheet[TILE // 2, step // 2 + column * step, 0]) for column in range(COLUMNS)] == list(range(COLUMNS))
    assert (tmp_path / "sheet.txt").read_text("utf-8").splitlines()[:2] == ["1\tnumber 0", "2\tnumber 1"]
