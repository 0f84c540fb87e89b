"""A text is what its tokens are, in their order, however much padding comes behind."""

from __future__ import annotations

import pytest
import torch

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder, backwards

KINDS = ["transformer", "lstm", "words"]
"""The last is a transformer whose first layer sees no farther than a word, and whose tokens below 10 begin one."""


def encoder(kind: str) -> TextEncoder:
    torch.manual_seed(0)
    shape = {"layers": 2, "word_layers": 1} if kind == "words" else {"kind": kind}
    model = TextEncoder(TextEncoderConfig(vocabulary=50, **PRESETS["tiny"] | shape)).eval()
    if kind == "words":
        model.begins_word[:10] = True
    return model


def encode(model: TextEncoder, text: list[int], *, padded: int) -> torch.Tensor:
    tokens = torch.tensor([text + [0] * (padded - len(text))])
    with torch.inference_mode():
        return model(tokens, torch.arange(padded)[None] < len(text))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind: str) -> None:
    model = encoder(kind)
    for text in ([7], [7, 3, 9, 4, 1]):
        alone = encode(model, text, padded=len(text))
        torch.testing.assert_close(encode(model, text, padded=32), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_order_of_tokens_matters(kind: str) -> None:
    model = encoder(kind)
    left, right = (encode(model, text, padded=8) for text in ([7, 3, 9], [9, 3, 7]))
    assert (left - right).abs().max() > 1e-3


def test_each_token_of_an_lstm_is_read_from_both_sides() -> None:
    block = encoder("lstm").blocks[0]
    hidden = torch.randn(1, 5, 16, requires_grad=True)
    order = backwards(torch.tensor([[True, True, True, True, False]]))
    for place in (0, 3):
        (gradient,) = torch.autograd.grad(block(hidden, order)[0, place].square().sum(), hidden)
        assert (gradient[0].abs().sum(dim=1) > 0).tolist() == [True, True, True, True, False]


def test_state_of_a_word_is_the_same_alone_and_among_others() -> None:
    model, word, text = encoder("words"), [7, 30, 31], [3, 40, 9, 7, 30, 31, 2, 7]
    alone, among = (model.word_states(torch.tensor([each]), torch.ones(1, len(each)) > 0) for each in (word, text))
    torch.testing.assert_close(among[:, 3:6], alone, rtol=0, atol=1e-6)
    assert (among[:, 7] - alone[:, 0]).abs().max() > 1e-3  # the same token of another word
    assert (encode(model, word, padded=8) - encode(model, text, padded=8)).abs().max() > 1e-3


def test_turning_a_text_round_leaves_its_padding_and_undoes_itself() -> None:
    order = backwards(torch.tensor([[True, True, True, False], [True, False, False, False]]))
    assert order.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
    assert order.gather(1, order).tolist() == [[0, 1, 2, 3]] * 2


def test_both_kinds_have_about_as_many_parameters() -> None:
    counts = [
        sum(each.numel() for each in TextEncoder(TextEncoderConfig(vocabulary=8000, **PRESETS[name])).parameters())
        for name in ("scenes", "lstm")
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)
