"""Each training on a user's own pictures ends in a model directory that is served, in the space it should be of."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from services.captioning.items import CaptionItem
from services.captioning.predictor import load as load_captioner
from services.classification.items import ImageItem
from services.classification.predictor import load as load_classifier
from services.training.cli import train
from services.training.inspection import verify
from services.training.tiny import write_tiny_models
from shared.errors import ConfigurationError
from shared.inference.predictor import Failure, RuntimeOptions
from tests.services.training.own.drawings import SHAPES, write_drawings

CPU = RuntimeOptions(device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty drawings in `pictures`, and the four tiny models in `tiny`."""
    root = tmp_path_factory.mktemp("own")
    write_drawings(root / "pictures")
    write_tiny_models(root / "tiny")
    return root


def diptych_train(root: Path, task: str, out: str, *options: object) -> str:
    """Trains on the drawings for a few steps and returns what was printed."""
    given = ["--data", root / "pictures" / "my.jsonl", "--out", root / out, "--steps", 3, "--batch", 8, *options]
    given += ["--device", "cpu", "--precision", "fp32"]
    result = CliRunner().invoke(train, [task, *map(str, given)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def toml(directory: Path) -> dict[str, Any]:
    return tomllib.loads((directory / "model.toml").read_text("utf-8"))


def test_tuned_head_keeps_the_space_and_every_vector(workplace: Path) -> None:
    tiny = workplace / "tiny" / "classification"
    diptych_train(workplace, "classification", "head", "--from", tiny)
    table = toml(workplace / "head")
    assert table["space"] == "tiny" and "data" not in table
    assert table["serving"]["zero_shot_scale"] == pytest.approx(14.868)  # of the model it came from, in float16
    picture = (workplace / "pictures" / "red-circle.png").read_bytes()
    item = ImageItem(image=picture, top_k=9, language="zh", include_encoding=True)
    (before,), (after,) = (load_classifier(each, CPU).predict([item]) for each in (tiny, workplace / "head"))
    assert not isinstance(before, Failure) and not isinstance(after, Failure)
    assert before.encoding == after.encoding
    assert {label.text for label in after.labels} == set(SHAPES)


@pytest.mark.parametrize("options", [("--preset", "tiny"), ("--from", "tiny/classification", "--tune", "all")])
def test_trained_encoder_makes_a_new_space(workplace: Path, options: tuple[str, ...]) -> None:
    given = [workplace / each if each.startswith("tiny/") else each for each in options]
    captions = workplace / "tiny" / "text"
    out = f"whole{len(options)}"
    diptych_train(workplace, "classification", out, *given, "--with", captions, "--dropout", 0.1)
    assert toml(workplace / out)["space"].startswith("own-")
    verify([workplace / out])


def test_models_for_a_space_of_ones_own_pair(workplace: Path) -> None:
    diptych_train(workplace, "classification", "mine/classification", "--preset", "tiny", "--optimiser", "sgd")
    for task, partner in (("text", "classification"), ("captioning", "classification"), ("generation", "text")):
        own = ("--with", workplace / "mine" / partner, "--preset", "tiny", "--schedule", "step")
        diptych_train(workplace, task, f"mine/{task}", *own)
    directories = [workplace / "mine" / task for task in ("classification", "text", "captioning", "generation")]
    assert len(verify(directories)) == 4
    assert toml(directories[1])["training"]["pictures"] + toml(directories[1])["training"]["held_out_pictures"] == 50


@pytest.mark.parametrize(("task", "partner"), [("text", "classification"), ("generation", "text")])
def test_fine_tuned_model_keeps_the_space(workplace: Path, task: str, partner: str) -> None:
    tiny = workplace / "tiny"
    diptych_train(workplace, task, f"tuned/{task}", "--from", tiny / task, "--with", tiny / partner)
    verify([workplace / "tuned" / task, tiny / partner])
    assert len(toml(workplace / "tuned" / task)["training"]["started_from"]) == 16


def test_fine_tuned_captioner_writes_longer_captions_and_a_further_language(workplace: Path, tmp_path: Path) -> None:
    picture = workplace / "pictures" / "red-circle.png"
    caption = "ein roter Kreis, außen weiß"
    entries = [{"image": str(picture), "caption": caption, "language": "de"}] * 2
    entries += [{"image": str(picture), "caption": caption * 20, "language": "de"}]  # more than a model is taught
    (tmp_path / "my.jsonl").write_text("\n".join(map(json.dumps, entries)), "utf-8")
    tiny = workplace / "tiny"
    told = diptych_train(
        tmp_path.parent / tmp_path.name, "captioning", "de", "--from", tiny / "captioning",
        "--with", tiny / "classification", "--data", tmp_path / "my.jsonl", "--validation", 0,
        "--steps", 300, "--learning-rate", 0.01, "--optimiser", "adamw",
    )  # fmt: skip
    assert "1 skipped" in told
    assert "tokens; the limit is 62" in (tmp_path / "de.training" / "skipped.csv").read_text("utf-8")
    assert toml(tmp_path / "de")["serving"]["languages"] == ["en", "zh", "de"]
    item = ImageItem(image=picture.read_bytes(), top_k=1, language="", include_encoding=True)
    (seen,) = load_classifier(tiny / "classification", CPU).predict([item])
    assert not isinstance(seen, Failure) and seen.encoding is not None
    (captions,) = load_captioner(tmp_path / "de", CPU).predict([CaptionItem(encoding=seen.encoding, language="de")])
    assert not isinstance(captions, Failure)
    assert captions[0].text == caption.strip()


def test_cross_validation_writes_figures_of_each_label_and_a_confusion_matrix(workplace: Path) -> None:
    told = diptych_train(workplace, "classification", "folds", "--from", workplace / "tiny" / "classification",
                         "--folds", 2, "--work", workplace / "folds-work")  # fmt: skip
    assert "fold 2 of 2: 25 of 50 entries held out" in told and "macro F1" in told
    result = json.loads((workplace / "folds-work" / "folds.json").read_text("utf-8"))
    assert [one["label"] for one in result["classes"]] == sorted(SHAPES)
    assert sum(map(sum, result["confusion"])) == 50
    assert Image.open(workplace / "folds-work" / "confusion.png").format == "PNG"
    assert toml(workplace / "folds")["metrics"]["cross_validated_top1"] == round(result["accuracy"], 4)


def test_folds_stop_early_by_pictures_that_they_do_not_judge(workplace: Path) -> None:
    told = diptych_train(workplace, "classification", "early", "--from", workplace / "tiny" / "classification",
                         "--folds", 2, "--patience", 1, "--validate-every", 1, "--learning-rate", 0,
                         "--steps", 9)  # fmt: skip
    assert "step 2  validation" in told and "step 3" not in told and "macro F1" in told


def test_folds_of_another_count_start_anew(workplace: Path) -> None:
    """Their checkpoints have seen pictures that the new folds are judged on."""
    two = ("--preset", "tiny", "--folds", 2, "--tune", "head")
    diptych_train(workplace, "classification", "counted", *two)
    with pytest.raises(ConfigurationError, match="fold-1: its --folds was 2, now 3; start with --restart"):
        diptych_train(workplace, "classification", "counted", *two, "--folds", 3)


@pytest.mark.parametrize("option", ["--tune", "--with"])
def test_classifier_goes_on_as_it_was_tuned_and_with_the_captions_it_had(workplace: Path, option: str) -> None:
    start = ("--from", workplace / "tiny" / "classification")
    first = ("--tune", "all") if option == "--with" else ()
    diptych_train(workplace, "classification", f"tune{option}", *start, *first)
    then = {"--tune": ("--tune", "all"), "--with": ("--tune", "all", "--with", workplace / "tiny" / "text")}
    with pytest.raises(ConfigurationError, match=f"its {option} was"):
        diptych_train(workplace, "classification", f"tune{option}", *start, *then[option])


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("classification", ("--from", "shipped", "--preset", "small"), "--from brings its own"),
        ("classification", ("--from", "nowhere"), r"nowhere/model\.toml: cannot be read"),
        ("classification", ("--from", "tiny/text"), "task: expected 'classification', found 'text'"),
        ("classification", ("--folds", 60, "--preset", "tiny"), "--folds 60: there are 50 different pictures"),
        ("classification", ("--from", "tiny/classification", "--with", "tiny/text"), "--tune head trains none"),
        ("classification", ("--noise", 3, "--preset", "tiny"), r"--noise 3\.0: expected 0 to 1"),
        ("text", ("--patience", 2, "--validation", 0, "--preset", "tiny"), "leaves nothing to measure on"),
        ("captioning", ("--from", "tiny/captioning"), "were not trained together"),
        ("captioning", ("--from", "tiny/captioning", "--out", "tiny/captioning"), "would overwrite the model"),
        ("text", ("--with", "tiny/classification", "--out", "tiny/classification"), "would overwrite the model"),
        ("generation", ("--dropout", 0.5, "--preset", "tiny"), "a generator has none"),
        ("text", ("--batch", 1, "--preset", "tiny"), "--batch 1: a caption is told from those of other pictures"),
        ("text", ("--colour", "nan"), "--colour nan: expected a number"),
        ("text", ("--language", "English please"), "--language English please: expected a code"),
        ("text", ("--out", "tiny/text/model.toml"), r"cannot use .*model\.toml: File exists"),
        ("text", ("--preset", "tiny", "--learning-rate", 1e30, "--optimiser", "sgd"), "try a lower --learning-rate"),
        ("text", ("--device", "cuda:99", "--preset", "tiny"), "this machine has"),
    ],
)
def test_wrong_use_is_one_clear_line(workplace: Path, task: str, options: tuple[object, ...], message: str) -> None:
    given = [workplace / str(each) if str(each).startswith("tiny/") else each for each in options]
    data = ["--data", workplace / "pictures" / "my.jsonl", "--out", workplace / "refused", "--steps", 1]
    with pytest.raises(ConfigurationError, match=message):
        CliRunner().invoke(train, [task, *map(str, data + given)], catch_exceptions=False)


def test_seed_that_no_generator_takes_is_refused() -> None:
    result = CliRunner().invoke(train, ["text", "--data", "a.jsonl", "--out", "b", "--seed", str(2**64)])
    assert result.exit_code == 2 and "--seed" in result.output
