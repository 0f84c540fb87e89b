"""Each command runs from data to model directories with tiny models, and goes on where it stopped."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from services.captioning.predictor import load as load_captioner
from services.classification.items import ImageItem
from services.classification.predictor import load as load_classifier
from services.generation.items import PaintItem
from services.generation.predictor import load as load_generator
from services.text.predictor import load as load_text_encoder
from services.training.tiny import tiny_pack, write_tiny_models
from services.training.tokenizers import CHINESE_WORDS
from shared.errors import ConfigurationError, ModelDirectoryError
from shared.images import encode_image
from shared.inference.predictor import Failure, RuntimeOptions
from tests.services.training.builtin.material import SCENES
from tests.services.training.builtin.workplace import Workplace

OPTIONS = RuntimeOptions(device="cpu", precision="fp32")
TASKS = ("text", "classification", "generation", "captioning")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """All three commands have run for some steps."""
    place = Workplace(tmp_path_factory.mktemp("training"))
    for command in ("encoders", "generation", "captioning", "student"):
        place.run(command, steps=10)
    return place


@pytest.fixture(scope="module")
def further(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Three commands have gone on from the models there, elsewhere."""
    place = Workplace(tmp_path_factory.mktemp("further"))
    for command, steps in (("encoders", 6), ("generation", 6), ("captioning", 1)):
        place.run(command, "--from", f"{workplace.models}", steps=steps)
    return place


@pytest.fixture(scope="module")
def another_encoder(workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The image encoder was trained anew for the text encoder there, and captions for it."""
    place = Workplace(tmp_path_factory.mktemp("another"))
    for command in ("classification", "captioning"):
        place.run(command, "--from", f"{workplace.models}", steps=6)
    return place


def test_trained_models_are_served_and_share_a_space(workplace: Workplace) -> None:
    text = load_text_encoder(workplace.models / "text", OPTIONS)
    classifier = load_classifier(workplace.models / "classification", OPTIONS)
    generator = load_generator(workplace.models / "generation", OPTIONS)
    captioner = load_captioner(workplace.models / "captioning", OPTIONS)
    assert len({one.info.space for one in (text, classifier, generator, captioner)}) == 1
    assert text.info.space.startswith("pictures-")
    assert workplace.card("text")["architecture"]["word_layers"] == 1
    assert CHINESE_WORDS in (workplace.models / "captioning" / "tokenizer.json").read_text("utf-8")
    (encoding,) = text.predict(["a cat"])
    assert not isinstance(encoding, Failure)
    (painted,) = generator.predict([PaintItem(vector=encoding.vector, seed=1)])
    assert not isinstance(painted, Failure) and painted.width == 32


def test_classifier_is_written_with_all_heads_their_names_and_a_temperature_each(workplace: Workplace) -> None:
    classifier = load_classifier(workplace.models / "classification", OPTIONS)
    heads = {head.name: head for head in classifier.info.heads}
    assert set(heads) == {"concept", "subgroup", "background", "objects", "colour", "style"}
    assert [label.id for label in heads["background"].labels][-1] == "plain"
    assert workplace.card("classification")["serving"]["temperature"].keys() == heads.keys()  # type: ignore[attr-defined]
    picture = encode_image(tiny_pack().pixels[0])
    (seen,) = classifier.predict(
        [ImageItem(image=picture, top_k=1, language="zh", include_encoding=False, heads=("background", "objects"))]
    )
    assert not isinstance(seen, Failure)
    assert all(label.text for head in seen.heads for label in head.labels)


def test_model_toml_tells_training_and_data(workplace: Workplace) -> None:
    card = workplace.card("generation")
    training = card["training"]
    assert training["seed"] == 3 and training["scenes"] == SCENES
    stages = {name: training[f"steps_{name}"] for name in ("things", "pages", "plans", "adversarial")}
    assert stages == {"things": 8, "pages": 1, "plans": 1, "adversarial": 1}
    assert training["pictograms"] == int(tiny_pack().train.sum())
    assert {data["set"] for data in card["data"]} == set(tiny_pack().styles)  # type: ignore[index]


def test_classifier_is_written_with_the_scale_of_its_zero_shot_answers(workplace: Workplace) -> None:
    card = workplace.card("classification")
    assert 1 <= card["serving"]["zero_shot_scale"] <= 1000  # type: ignore[operator]
    assert 0 <= card["metrics"]["validation_concept_top1"] <= 1  # type: ignore[operator]


def test_a_student_shares_the_space_and_comes_near_its_teacher(workplace: Workplace) -> None:
    student = load_text_encoder(workplace.models / "text-tiny", OPTIONS)
    teacher = load_text_encoder(workplace.models / "text", OPTIONS)
    assert student.info.space == teacher.info.space
    before = workplace.card("text-tiny")["metrics"]["training_texts_cosine_to_teacher"]
    workplace.run("student", steps=120)
    assert workplace.card("text-tiny")["metrics"]["training_texts_cosine_to_teacher"] > before  # type: ignore[operator]


def test_a_student_of_captions_alone_is_another_model(workplace: Workplace) -> None:
    workplace.run("student", "--no-teachers", steps=3)
    assert workplace.card("text-tiny-captions")["weights"] != workplace.card("text-tiny")["weights"]


def test_training_goes_on_from_its_checkpoint(workplace: Workplace) -> None:
    assert "resumed at step 10" in workplace.run("captioning", steps=12)
    state = json.loads((workplace.checkpoints / "captioning" / "checkpoint.json").read_text("utf-8"))
    assert state["step"] == 12


def test_another_image_encoder_makes_a_space_that_the_other_models_join(
    workplace: Workplace, another_encoder: Workplace
) -> None:
    spaces = {f"{another_encoder.card(task)['space']}" for task in TASKS}
    assert len(spaces) == 1 and f"{workplace.card('text')['space']}" not in spaces
    for task in ("text", "generation"):
        assert another_encoder.weights(task) == workplace.weights(task)
    for task in ("classification", "captioning"):
        assert another_encoder.weights(task) != workplace.weights(task)
    training = another_encoder.card("classification")["training"]
    assert training["tokens_of"] == workplace.card("text")["space"]
    assert f"--from {workplace.models} --preset tiny" in f"{training['command']}"
    captioner = load_captioner(another_encoder.models / "captioning", OPTIONS)
    assert captioner.info.space in spaces


def test_image_encoder_of_another_shape_is_refused_before_training(workplace: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    with pytest.raises(ConfigurationError, match="classification: pixels: expected 128, found 32"):
        place.run("classification", "--from", f"{workplace.models}", "--preset", "pretrained", steps=1)
    assert not place.models.exists()


def test_encoders_that_go_on_stay_in_their_space(workplace: Workplace, further: Workplace) -> None:
    assert further.card("text")["space"] == workplace.card("text")["space"]
    assert further.weights("classification") == workplace.weights("classification")
    assert further.weights("text") != workplace.weights("text")
    start = workplace.card("text")["weights"]["sha256"]
    wanted = {"steps": 16, "started_at_step": 10, "started_from": str(start)[:16]}
    assert further.card("text")["training"].items() >= wanted.items()
    assert further.card("text")["architecture"] == workplace.card("text")["architecture"]


def test_a_generator_that_goes_on_draws_things_as_before(workplace: Workplace, further: Workplace) -> None:
    before, after = (load_file(place.models / "generation" / "model.safetensors") for place in (workplace, further))
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"planner", "page", "page_code", "finish"}
    assert torch.equal(before["planner.table.things.weight"], after["planner.table.things.weight"])


def test_a_captioner_goes_on_from_its_weights(workplace: Workplace, further: Workplace) -> None:
    before, after = (load_file(place.models / "captioning" / "model.safetensors") for place in (workplace, further))
    moved = {name: (before[name].float() - after[name].float()).abs().max().item() for name in before}
    assert 0 < max(moved.values()) < 2e-3  # one small step: two that begin at random are ten times as far apart
    assert further.card("captioning")["files"] == workplace.card("captioning")["files"]


@pytest.mark.parametrize("command", ["captioning", "generation"])
def test_a_model_of_another_space_is_not_gone_on_with(workplace: Workplace, tmp_path: Path, command: str) -> None:
    other = Workplace(tmp_path)
    other.run("encoders", "--seed", "4", steps=1)
    with pytest.raises(ModelDirectoryError, match="the models were not trained together"):
        other.run(command, "--from", f"{workplace.models}", steps=1)


def test_a_generator_of_other_things_is_not_gone_on_with(workplace: Workplace, tmp_path: Path) -> None:
    start, other = tmp_path / "start", Workplace(tmp_path / "other")
    shutil.copytree(workplace.models, start)
    shutil.copytree(workplace.models / "text", other.models / "text")
    write_tiny_models(tmp_path / "tiny")
    shutil.copytree(tmp_path / "tiny" / "generation", start / "generation", dirs_exist_ok=True)
    card = start / "generation" / "model.toml"
    text = card.read_text("utf-8")
    space = tomllib.loads(text)["space"]
    card.write_text(text.replace(space, str(workplace.card("text")["space"])), "utf-8")
    with pytest.raises(ConfigurationError, match="draws other things than there is data of"):
        other.run("generation", "--from", f"{start}", steps=1)


def test_models_that_a_run_goes_on_from_are_not_written_over(workplace: Workplace) -> None:
    with pytest.raises(ConfigurationError, match="is --out as well"):
        workplace.run("captioning", "--from", f"{workplace.models}", steps=1)


def test_going_on_is_resumed_and_leaves_other_checkpoints_alone(workplace: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    shutil.copytree(workplace.checkpoints / "captioning", place.checkpoints / "captioning")
    shutil.copytree(workplace.models / "classification", place.models / "classification")
    before = sorted((place.checkpoints / "captioning").iterdir())
    for steps in (2, 3):
        told = place.run("captioning", "--from", f"{workplace.models}", steps=steps)
    assert "resumed at step 2" in told
    assert sorted((place.checkpoints / "captioning").iterdir()) == before


def test_a_step_of_more_scenes_than_there_are_is_refused(workplace: Workplace) -> None:
    with pytest.raises(ConfigurationError, match=f"--batch 999: more than there are scenes, {SCENES}"):
        workplace.run("generation", "--batch", "999", steps=10)
