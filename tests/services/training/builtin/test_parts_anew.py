"""Parts of models are made anew while the rest goes on: a decoder's vocabulary, a classifier's concepts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from services.captioning.model import Captioner
from services.classification.config import ImageEncoderConfig
from services.training.data.label_names import head_labels
from services.training.export import Card, write_labels, write_model_directory, write_tokenizer
from services.training.models import read_captioner, read_image_encoder
from services.training.tiny import tiny_pack
from services.training.tokenizers import CHINESE_WORDS, train_tokenizer
from shared.errors import ConfigurationError, ModelDirectoryError
from tests.services.training.builtin.workplace import Workplace


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Encoders and a decoder are there."""
    place = Workplace(tmp_path_factory.mktemp("training"))
    for command in ("encoders", "captioning"):
        place.run(command, steps=2)
    return place


def test_a_captioner_goes_on_with_a_vocabulary_of_its_own(workplace: Workplace, tmp_path: Path) -> None:
    place, start = Workplace(tmp_path), tmp_path / "start"
    shutil.copytree(workplace.models / "classification", place.models / "classification")
    # Another decoder begins with single bytes alone, which say the same in more tokens.
    captioner, _, directory = read_captioner(workplace.models / "captioning", torch.device("cpu"))
    bytewise = train_tokenizer([], vocabulary=300, lower_case=False, special=("<end>", "<en>", "<zh>"))
    config = replace(captioner.config, vocabulary=bytewise.get_vocab_size(), longest=200)
    folder = start / "captioning"
    card = Card(name="x", version="0", space=directory.space, description="", training={}, metrics={})
    write_model_directory(folder, task="captioning", module=Captioner(config), config=config, card=card,
                          files=[write_tokenizer(folder, bytewise)])  # fmt: skip
    for steps in (1, 2):
        told = place.run("captioning", "--from", f"{start}", "--new-vocabulary", steps=steps)
    assert "resumed at step 1" in told
    made = Tokenizer.from_file(str(place.models / "captioning" / "tokenizer.json"))
    assert made.get_vocab_size() > bytewise.get_vocab_size() and CHINESE_WORDS in made.to_str()
    old, new = (
        load_file(root / "captioning" / "model.safetensors")["embedding.weight"].float()
        for root in (start, place.models)
    )
    for token in ("<zh>", "a"):
        moved = new[made.token_to_id(token)] - old[bytewise.token_to_id(token)]
        assert moved.abs().max() < 4e-3  # two small steps
    assert f"{place.card('captioning')['training']['command']}".endswith("--new-vocabulary")


def test_a_new_vocabulary_is_of_something_that_goes_on(workplace: Workplace) -> None:
    with pytest.raises(ConfigurationError, match="--new-vocabulary: needs --from"):
        workplace.run("captioning", "--new-vocabulary", steps=1)


def test_concepts_are_fitted_anew_and_all_else_stays(workplace: Workplace, tmp_path: Path) -> None:
    place, start = Workplace(tmp_path), tmp_path / "start"
    shutil.copytree(workplace.models, start)
    image, directory = read_image_encoder(start / "classification", torch.device("cpu"))
    with torch.no_grad():
        image.concepts.normal_()
    folder, config, pack = start / "classification", directory.config(ImageEncoderConfig), tiny_pack()
    card = Card(name="x", version="0", space=directory.space, description="", training={"steps": 9}, metrics={})
    files = [write_labels(folder, pack, head_labels(pack))]
    write_model_directory(folder, task="classification", module=image, config=config, card=card, files=files)
    place.fit_concepts(start)
    before, after = (
        load_file(root / "classification" / "model.safetensors") for root in (workplace.models, place.models)
    )
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"concepts"}
    unlike = 1 - torch.cosine_similarity(before["concepts"].float(), after["concepts"].float()).min()
    assert unlike < 0.05  # other random views than those that the encoders' own fit saw
    assert place.card("classification")["space"] == workplace.card("classification")["space"]
    training = place.card("classification")["training"]
    assert training["steps"] == 9  # those that made the vectors
    assert training["concepts_command"] == f"diptych train builtin concepts --seed 3 --from {start}"


def test_concepts_are_not_fitted_into_a_folder_of_another_space(workplace: Workplace, tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    place.run("encoders", "--seed", "4", steps=1)
    with pytest.raises(ModelDirectoryError, match="the models were not trained together"):
        place.fit_concepts(workplace.models)
