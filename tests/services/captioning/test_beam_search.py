"""Beam search finds the sentences with the best mean log-probability, and stops when nothing can overtake them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from services.captioning.beam_search import beam_search
from services.captioning.config import END, PADDING, CaptionerConfig
from services.captioning.model import Captioner, KeyValue

START, A, B = 2, 3, 4


@dataclass
class TableDecoder:
    """A decoder whose next word hangs on the last one alone: rows of probabilities, by word."""

    table: dict[int, dict[int, float]]
    longest: int = 6
    steps: int = 0
    config: Any = field(init=False)

    def __post_init__(self) -> None:
        self.config = CaptionerConfig(vocabulary=5, width=2, layers=1, heads=1, longest=self.longest, memory_tokens=1,
                                      token_width=1, space_width=1)  # fmt: skip

    def remember(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        return tokens

    def look(self, memory: Tensor) -> list[Any]:
        return []

    def step(self, words: Tensor, place: int, past: list[Any], pictures: list[Any]) -> tuple[Tensor, list[Any]]:
        self.steps += 1
        rows = [[self.table.get(word, {}).get(next_, 1e-9) for next_ in range(5)] for word in words.flatten().tolist()]
        return torch.tensor(rows).log().view(*words.shape, 5), []


def search(decoder: TableDecoder, width: int) -> dict[tuple[int, ...], float]:
    """Sentences and scores, the best first."""
    one = torch.zeros(1, 1, 1)
    words, scores = beam_search(cast(Captioner, decoder), one, one[0], torch.tensor([START]), width)
    return {
        tuple(w for w in row if w != PADDING): s for row, s in zip(words[0].tolist(), scores[0].tolist(), strict=True)
    }


def test_scores_are_means_over_all_tokens_the_end_included() -> None:
    decoder = TableDecoder({START: {A: 0.5, END: 0.25, B: 0.25}, A: {END: 1.0}, B: {END: 0.5, B: 0.5}})
    found = search(decoder, 3)
    assert list(found) == [(A,), (B, B, B, B), (B, B, B)]
    assert found[(A,)] == pytest.approx(math.log(0.5) / 2, abs=1e-3)
    assert found[(B, B, B)] == pytest.approx((math.log(0.25) + 3 * math.log(0.5)) / 4, abs=1e-3)


def test_likelier_start_gives_way_to_a_sentence_that_is_better_as_a_whole() -> None:
    decoder = TableDecoder({START: {A: 0.6, B: 0.4}, A: {A: 0.3, B: 0.3, END: 0.4}, B: {END: 1.0}})
    assert next(iter(search(decoder, 4))) == (B,)


def test_search_stops_when_nothing_can_overtake_what_is_kept() -> None:
    decoder = TableDecoder({START: {A: 0.5, END: 0.5}, A: {END: 1.0}}, longest=24)
    assert list(search(decoder, 2)) == [(A,), ()]
    assert decoder.steps == 2


def test_search_goes_on_while_a_longer_sentence_may_still_be_better() -> None:
    sure = {START: {A: 0.2, B: 0.1, END: 0.7}, A: {A: 1.0, END: 0.5}, B: {B: 1.0, END: 1e-3}}
    decoder = TableDecoder(sure, longest=12)
    assert (A,) * 10 in search(decoder, 2)


@pytest.fixture(scope="module")
def small() -> Captioner:
    """A decoder of five tokens that writes at most three."""
    torch.manual_seed(0)
    config = CaptionerConfig(
        vocabulary=5, width=16, layers=2, heads=2, longest=4, memory_tokens=2, token_width=4, space_width=4
    )
    model = Captioner(config).eval()
    torch.nn.init.normal_(model.embedding.weight, std=0.7)
    torch.nn.init.normal_(model.position, std=0.7)
    return model


@torch.inference_mode()
def test_wide_beams_find_the_best_of_all_sentences(small: Captioner) -> None:
    tokens, vectors = torch.randn(3, 2, 4), torch.randn(3, 4)
    words, scores = beam_search(small, tokens, vectors, torch.tensor([START] * 3), 16)
    for picture in range(3):
        memory = small.remember(tokens, vectors)[picture : picture + 1]
        everything = sorted(
            (
                (score_of(small, memory, sentence), sentence)
                for length in range(3)
                for sentence in itertools.product((START, A, B), repeat=length)
            ),
            reverse=True,
        )
        assert len(everything) == 13
        found = [tuple(word for word in row if word != PADDING) for row in words[picture].tolist()][:13]
        assert found == [sentence for _, sentence in everything]
        assert scores[picture, :13].tolist() == pytest.approx([score for score, _ in everything], abs=1e-4)
        assert (scores[picture, 13:] == -math.inf).all()


def score_of(model: Captioner, memory: Tensor, sentence: tuple[int, ...]) -> float:
    """The mean log-probability of a sentence and its end, by one plain forward pass."""
    logits = model(torch.tensor([[START, *sentence]]), memory)[0].log_softmax(dim=-1)
    return float(logits[range(len(sentence) + 1), [*sentence, END]].mean())


@torch.inference_mode()
def test_step_by_step_is_the_forward_pass(small: Captioner) -> None:
    tokens, vectors = torch.randn(2, 2, 4), torch.randn(2, 4)
    memory = small.remember(tokens, vectors)
    sentences = torch.tensor([[[2, 3, 4], [2, 4, 4]], [[2, 2, 3], [2, 3, 3]]])  # (B, K, L)
    pictures = small.look(memory)
    past: list[KeyValue] = []
    for place in range(3):
        logits, past = small.step(sentences[:, :, place], place, past, pictures)
        for picture, beam in itertools.product(range(2), range(2)):
            whole = small(sentences[picture, beam, : place + 1][None], memory[picture : picture + 1])[0, -1]
            assert torch.allclose(logits[picture, beam], whole, atol=1e-5)
