"""Layers that see no farther than a word are put into an encoder, and what they make of words is held to names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.encoding.word_layers import (
    begins_word,
    confined,
    mean_word_state,
    with_word_layers,
    word_state_loss,
)
from services.training.export import Card, write_model_directory, write_tokenizer
from services.training.models import read_text_encoder
from services.training.samples import tokenize
from services.training.tokenizers import train_tokenizer

TEXTS = ["a black cat, and a dog. a house-boat", "一只，黑猫。黑、猫"] * 2
TOKENIZER = train_tokenizer(TEXTS, vocabulary=320, lower_case=True)
CONFIG = TextEncoderConfig(vocabulary=TOKENIZER.get_vocab_size(), **PRESETS["tiny"])


def _confined() -> TextEncoder:
    torch.manual_seed(0)
    return with_word_layers(TextEncoder(CONFIG), confined(CONFIG), TOKENIZER)


@pytest.mark.parametrize(
    ("text", "words"),
    [("a black cat", [" a", " black", " cat"]), ("cat,dog", [" cat", ",dog"]), ("zzyzx cats", [" zzyzx", " cats"]),
     ("house-boat", [" house", "-boat"]), ("一只黑猫", [" 一只黑猫"]),
     ("一只，黑猫。黑、猫", [" 一只", ",黑猫", "。黑", "、猫"])],
)  # fmt: skip
def test_a_word_begins_with_a_space_or_punctuation(text: str, words: list[str]) -> None:
    ids = TOKENIZER.encode(text).ids
    numbers = begins_word(TOKENIZER)[ids].cumsum(0).tolist()
    found = [[one for one, number in zip(ids, numbers, strict=True) if number == each] for each in sorted(set(numbers))]
    assert [TOKENIZER.decode(each) for each in found] == words


def test_weights_stay_and_come_back_from_a_model_directory(tmp_path: Path) -> None:
    text = _confined()
    again = with_word_layers(text, confined(CONFIG), TOKENIZER)  # of one that has such layers already
    files = [write_tokenizer(tmp_path, TOKENIZER)]
    card = Card(name="words", version="1", space="s", description="d")
    write_model_directory(tmp_path, task="text", module=text, config=confined(CONFIG), card=card, files=files)
    read, _, _ = read_text_encoder(tmp_path, torch.device("cpu"))
    tokens, mask = tokenize(TOKENIZER, ["a black cat", "dog"])
    with torch.no_grad():
        assert torch.equal(again(tokens, mask), text(tokens, mask))
        assert (read(tokens, mask) * text(tokens, mask)).sum(dim=1).min() > 0.9999
    assert torch.equal(read.begins_word, begins_word(TOKENIZER))


@pytest.mark.parametrize(("kind", "layers", "already", "expected"), [
    ("transformer", 4, 0, 2), ("transformer", 3, 0, 1), ("transformer", 1, 0, 0), ("transformer", 4, 1, 1),
    ("lstm", 3, 0, 0),
])  # fmt: skip
def test_half_of_a_transformer_without_such_layers_becomes_one_with(
    kind: str, layers: int, already: int, expected: int
) -> None:
    config = replace(CONFIG, kind=kind, layers=layers, word_layers=already)  # type: ignore[arg-type]
    assert confined(config).word_layers == expected
    assert with_word_layers(TextEncoder(config), confined(config), TOKENIZER).word_layers == expected


@pytest.mark.parametrize(("kind", "layers"), [("transformer", 3), ("transformer", -1), ("lstm", 1)])
def test_more_word_layers_than_layers_are_refused(kind: str, layers: int) -> None:
    with pytest.raises(ValueError, match="word_layers: expected 0 to"):
        TextEncoderConfig(vocabulary=300, **PRESETS["tiny"] | {"layers": 2, "kind": kind, "word_layers": layers})


def test_states_of_words_are_drawn_to_what_they_mean_and_nearest_to_the_likeliest() -> None:
    names = functional.normalize(torch.eye(3) + 0.1, dim=1)
    shares = torch.tensor([[0.8, 0.2, 0.0], [0.0, 0.0, 1.0]])
    right, wrong = (functional.normalize(torch.tensor(rows), dim=1) for rows in (
        [[0.8, 0.2, 0.0], [0.0, 0.0, 1.0]], [[0.0, 0.2, 0.8], [1.0, 0.0, 0.0]]
    ))  # fmt: skip
    assert word_state_loss(right, names, shares) < 0.1 < 2 < word_state_loss(wrong, names, shares)
    states = wrong.clone().requires_grad_()
    word_state_loss(states, names, shares).backward()
    step = functional.normalize(wrong - 0.5 * states.grad, dim=1)  # type: ignore[operator]
    assert word_state_loss(step, names, shares) < word_state_loss(wrong, names, shares)


def test_a_words_mean_state_knows_no_padding() -> None:
    text = _confined()
    tokens, mask = tokenize(TOKENIZER, ["cat", "a black house-boat"])
    together, alone = mean_word_state(text, tokens, mask), mean_word_state(text, *tokenize(TOKENIZER, ["cat"]))
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2))
