"""Each recipe runs from pack to model directory with tiny models, and goes on where it stopped."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from services.captioning.predictor import load as load_captioner
from services.classification.predictor import load as load_classifier
from services.generation.predictor import load as load_generator
from services.text.predictor import load as load_text_encoder
from services.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from services.training.cli import train
from services.training.data.pack import write_pack
from services.training.generation import style_noise
from services.training.muon import orthogonalise
from services.training.samples import Sampler, tokenize
from services.training.tiny import tiny_pack, write_tiny_models
from services.training.tokenizers import train_tokenizer
from shared.errors import ConfigurationError
from shared.inference.predictor import RuntimeOptions


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny pack, on which all three commands have run for some steps."""
    root = tmp_path_factory.mktemp("training")
    write_pack(tiny_pack(), root / "pack")
    for command in ("encoders", "generation", "captioning"):
        run(root, command, steps=10)
    return root


def run(root: Path, command: str, *, steps: int) -> str:
    options = ["--data", "pack", "--out", "models", "--checkpoints", "checkpoints"]
    arguments = [item if item.startswith("--") else str(root / item) for item in options]
    arguments += ["--preset", "tiny", "--batch", "8", "--steps", str(steps), "--device", "cpu", "--seed", "3"]
    result = CliRunner().invoke(train, ["builtin", command, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_trained_models_are_served_and_share_a_space(workplace: Path) -> None:
    options, models = RuntimeOptions(device="cpu", precision="fp32"), workplace / "models"
    predictors = (
        load_text_encoder(models / "text", options),
        load_classifier(models / "classification", options),
        load_generator(models / "generation", options),
        load_captioner(models / "captioning", options),
    )
    assert len({predictor.info.space for predictor in predictors}) == 1
    assert predictors[0].info.space.startswith("pictograms-")


def test_model_toml_tells_training_data_and_metrics(workplace: Path) -> None:
    table = tomllib.loads((workplace / "models" / "generation" / "model.toml").read_text("utf-8"))
    assert table["training"]["seed"] == 3 and table["training"]["steps"] == 10
    assert table["training"]["held_out_pictures"] == int((~tiny_pack().train).sum())
    assert {data["set"] for data in table["data"]} == set(tiny_pack().styles)
    assert 0 <= table["metrics"]["own_classifier_top1_trained"] <= 1


def test_classifier_is_written_with_the_scale_of_its_zero_shot_answers(workplace: Path) -> None:
    table = tomllib.loads((workplace / "models" / "classification" / "model.toml").read_text("utf-8"))
    assert 1 <= table["serving"]["zero_shot_scale"] <= 1000
    assert 0 <= table["metrics"]["zero_shot_top1_zh_held_out"] <= 1


def test_training_goes_on_from_its_checkpoint(workplace: Path) -> None:
    assert "resumed at step 10" in run(workplace, "captioning", steps=12)
    state = json.loads((workplace / "checkpoints" / "captioning" / "checkpoint.json").read_text("utf-8"))
    assert state["step"] == 12


def test_checkpoint_restores_weights_and_moments(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    optimiser = torch.optim.AdamW(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    save_checkpoint(tmp_path, {"module": module}, {"adamw": optimiser}, Progress(step=5, seconds=1.5))

    other = torch.nn.Linear(2, 2)
    restored = torch.optim.AdamW(other.parameters())
    assert load_checkpoint(tmp_path, {"module": other}, {"adamw": restored}) == Progress(step=5, seconds=1.5)
    assert torch.equal(other.weight, module.weight)
    for one, two in zip(optimiser.state_dict()["state"].values(), restored.state_dict()["state"].values(), strict=True):
        assert all(torch.equal(torch.as_tensor(one[key]), torch.as_tensor(two[key])) for key in one)


def test_a_checkpoint_of_another_space_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {}, {}, Progress(step=5), space="first")
    assert load_checkpoint(tmp_path, {}, {}, space="first").step == 5
    with pytest.raises(ConfigurationError, match=r"is of space 'first', the encoders of 'second'.*--restart"):
        load_checkpoint(tmp_path, {}, {}, space="second")


def test_folder_without_a_checkpoint_starts_from_zero(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, {}, {}) == Progress()


def test_style_of_the_noise_is_the_one_wanted() -> None:
    styles = torch.arange(7).repeat(20)
    noise = style_noise(styles, count=7, width=16)
    assert torch.equal(noise[:, :7].argmax(dim=1), styles)
    assert abs(noise.mean().item()) < 0.1 and abs(noise.std().item() - 1) < 0.1


@pytest.mark.parametrize("shape", [(8, 32), (32, 8)])
def test_orthogonalised_matrix_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    assert values.min() > 0.5 and values.max() < 1.3


def test_sampler_never_shows_a_held_out_picture() -> None:
    pack = tiny_pack()
    held_out = {(int(c), int(s)) for c, s in zip(pack.concept[~pack.train], pack.style[~pack.train], strict=True)}
    tokenizer = train_tokenizer(["a cat"], vocabulary=300, lower_case=True)
    sampler = Sampler(pack, tokenizer, torch.device("cpu"), seed=0, pixels=32, loose=0)
    for _ in range(20):
        batch = sampler.draw(8)
        assert not held_out & set(zip(batch.concept.tolist(), batch.style.tolist(), strict=True))
        assert batch.pictures.shape == (8, 3, 32, 32) and batch.pictures.min() >= 0 and batch.pictures.max() <= 1


def test_equal_seeds_draw_equal_batches() -> None:
    tokenizer = train_tokenizer(["a cat"], vocabulary=300, lower_case=True)
    one, other = (Sampler(tiny_pack(), tokenizer, torch.device("cpu"), seed=4, pixels=32, loose=0) for _ in range(2))
    first, second = one.draw(6), other.draw(6)
    assert torch.equal(first.tokens, second.tokens) and torch.equal(first.pictures, second.pictures)


def test_every_text_has_tokens_that_decode_to_it() -> None:
    tokenizer = train_tokenizer(["a cat", "一只猫"], vocabulary=400, lower_case=False)
    for text in ("a cat", "一只猫", "Ünïcödé ☃ 龘"):
        assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text
    tokens, mask = tokenize(tokenizer, ["a cat", "a cat and a dog"])
    assert tokens.shape == mask.shape and not mask[0, -1] and tokens[0, -1] == 0


def test_equal_seeds_write_equal_tiny_models(tmp_path: Path) -> None:
    one, same, other = (write_tiny_models(tmp_path / str(index), seed=seed) for index, seed in enumerate((5, 5, 6)))
    for task in one:
        weights = [(folders[task] / "model.safetensors").read_bytes() for folders in (one, same, other)]
        assert weights[0] == weights[1] != weights[2]
