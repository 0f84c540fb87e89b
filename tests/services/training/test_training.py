"""What trainers stand on: checkpoints, samples, tokens, and Muon's step."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from services.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from services.training.data import concepts
from services.training.data.scenes.classes import object_classes
from services.training.muon import orthogonalise
from services.training.samples import Sampler, tokenize
from services.training.tiny import tiny_pack, write_tiny_models
from services.training.tokenizers import CHINESE_WORDS, MEASURES, train_tokenizer, vectors_of_new_tokens
from shared.errors import ConfigurationError


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


@pytest.mark.parametrize("shape", [(8, 32), (32, 8)])
def test_orthogonalised_matrix_has_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
    assert values.min() > 0.5 and values.max() < 1.3


def test_sampler_never_shows_a_held_out_picture() -> None:
    pack = tiny_pack()
    held_out = {(int(c), int(s)) for c, s in zip(pack.concept[~pack.train], pack.style[~pack.train], strict=True)}
    sampler = Sampler(pack, torch.device("cpu"), seed=0, pixels=32, loose=0)
    for _ in range(20):
        batch = sampler.draw(8)
        assert not held_out & set(zip(batch.concept.tolist(), batch.style.tolist(), strict=True))
        assert batch.pictures.shape == (8, 3, 32, 32) and batch.pictures.min() >= 0 and batch.pictures.max() <= 1


def test_equal_seeds_draw_equal_batches() -> None:
    one, other = (Sampler(tiny_pack(), torch.device("cpu"), seed=4, pixels=32, loose=0) for _ in range(2))
    first, second = one.draw(6), other.draw(6)
    assert first.texts == second.texts and torch.equal(first.pictures, second.pictures)


def test_every_text_has_tokens_that_decode_to_it() -> None:
    tokenizer = train_tokenizer(["a cat", "一只猫"], vocabulary=400, lower_case=False)
    for text in ("a cat", "一只猫", "Ünïcödé ☃ 龘"):
        assert tokenizer.decode(tokenizer.encode(text).ids).strip() == text
    tokens, mask = tokenize(tokenizer, ["a cat", "a cat and a dog"])
    assert tokens.shape == mask.shape and not mask[0, -1] and tokens[0, -1] == 0


def test_tokens_reach_over_no_count_and_no_function_word_of_chinese() -> None:
    text = "一只黑色的猫和两杯咖啡在草地上，上面有一道彩虹"
    whole, apart = (
        train_tokenizer([text] * 9, vocabulary=400, lower_case=False, words_apart=each) for each in (False, True)
    )
    assert len(_straddled(whole, text)) > 5 and not _straddled(apart, text)
    for one in (text, "a black cat on the grass", " a cat", ""):
        normal = apart.normalizer.normalize_str(one)
        assert apart.decode(apart.encode(one).ids).strip() == normal.strip()
    assert apart.encode("a cat").tokens == whole.encode("a cat").tokens


def _straddled(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ends of CHINESE_WORDS in the text that lie within a token."""
    ends = {end for match in re.finditer(CHINESE_WORDS, text) for end in match.span()}
    return [end for end in ends for first, last in tokenizer.encode(text).offsets if first < end < last]


def test_a_token_that_both_vocabularies_have_keeps_its_vector_and_others_begin_with_the_mean_of_their_parts() -> None:
    old, new = (
        train_tokenizer(texts, vocabulary=300, lower_case=False, special=("<en>",))
        for texts in (["a red hat"] * 9, ["a red hat", "一顶红帽子"] * 9)
    )
    vectors = torch.randn(old.get_vocab_size(), 4)
    rows = vectors_of_new_tokens(vectors, old, new)
    assert rows.shape == (new.get_vocab_size(), 4)
    for token in ("<en>", "a", "Ġred"):
        assert torch.equal(rows[new.token_to_id(token)], vectors[old.token_to_id(token)])
    (word,) = new.encode("一顶红帽子").tokens
    spelt = [old.token_to_id(letter) for letter in word]
    assert len(spelt) == len(" 一顶红帽子".encode()) and None not in spelt
    assert torch.allclose(rows[new.token_to_id(word)], vectors[spelt].mean(dim=0))


def test_every_measure_word_of_the_data_is_told_from_what_it_counts() -> None:
    rows = csv.DictReader((Path(concepts.__file__).with_name("concepts.csv")).read_text("utf-8").splitlines())
    used = {row["measure"] for row in rows} | {each.measure for each in object_classes().values()}
    assert len(used) > 40 and used <= set(MEASURES)


def test_equal_seeds_write_equal_tiny_models(tmp_path: Path) -> None:
    one, same, other = (write_tiny_models(tmp_path / str(index), seed=seed) for index, seed in enumerate((5, 5, 6)))
    for task in one:
        weights = [(folders[task] / "model.safetensors").read_bytes() for folders in (one, same, other)]
        assert weights[0] == weights[1] != weights[2]
