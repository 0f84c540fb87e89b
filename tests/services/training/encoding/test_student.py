"""A student comes to say what its teacher says, by its vectors and by how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Literal

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.captions import clean_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.scenes.composer import compose
from services.training.encoding.student import WORD_SHARE, StudentTrainer, TrainingTexts
from services.training.encoding.word_lessons import WordLessons
from services.training.samples import tokenize
from services.training.tiny import tiny_pack
from services.training.tokenizers import train_tokenizer
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon
from tests.services.training.stopping import assert_same, whole_and_resumed


@cache
def _tokenizer() -> Tokenizer:
    return train_tokenizer(["a dog on the grass", "一只狗在草地上"], vocabulary=400, lower_case=True)


def _texts(*, taught: bool) -> TrainingTexts:
    lessons = WordLessons(tiny_lexicon(), seed=1) if taught else None
    return TrainingTexts(tiny_pack(), [compose(seed, sprites()).scene for seed in range(4)], lessons, seed=2)


def _encoder(kind: Literal["transformer", "lstm"], *, seed: int) -> TextEncoder:
    """With random weights, equal for equal seeds."""
    torch.manual_seed(seed)
    shape = PRESETS["tiny"] | {"layers": 1, "kind": kind}
    return TextEncoder(TextEncoderConfig(vocabulary=_tokenizer().get_vocab_size(), **shape))


def _vectors(encoder: TextEncoder, texts: Sequence[str]) -> Tensor:
    with torch.no_grad():
        return encoder(*tokenize(_tokenizer(), list(texts))).float()  # type: ignore[no-any-return]


def _trainer(*, taught: bool) -> StudentTrainer:
    """Of an LSTM, by a transformer; equal each time."""
    teacher = _encoder("transformer", seed=0)
    return StudentTrainer(
        _encoder("lstm", seed=1), _tokenizer(), partial(_vectors, teacher), _texts(taught=taught), batch=16
    )


@pytest.mark.parametrize("taught", [False, True])
def test_a_student_comes_near_its_teacher_with_lessons_and_without(taught: bool) -> None:
    trainer = _trainer(taught=taught)
    asked = [clean_caption(one, language) for one in tiny_pack().concepts for language in LANGUAGES]
    wanted = _vectors(_encoder("transformer", seed=0), asked)
    first = trainer.step(0.1)
    assert first.keys() == {"distance", "apart"}
    for _ in range(120):
        last = trainer.step(0.1)
    assert last["distance"] < 0.1 * first["distance"] and last["apart"] < 0.6 * first["apart"]
    trainer.take_average()
    said = _vectors(trainer.student, asked)
    # Less what all have in common: a student that says the same of every text comes near a teacher too.
    assert functional.cosine_similarity(said - said.mean(dim=0), wanted - wanted.mean(dim=0)).mean() > 0.5


@pytest.mark.parametrize("taught", [False, True])
def test_words_are_among_the_texts_with_lessons_alone(taught: bool) -> None:
    lexicon, drawn = tiny_lexicon(), _texts(taught=taught).draw(200)
    known = {word for words in lexicon.words.values() for word in words}
    known |= {one.names(language)[0] for one in lexicon.meanings for language in LANGUAGES}
    words = sum(text in known for text in drawn)
    assert len(drawn) == 200
    assert words >= 200 * WORD_SHARE if taught else words < 10  # a caption may be as short


@pytest.mark.parametrize("taught", [False, True])
def test_a_resumed_student_has_the_losses_of_one_that_never_stopped(tmp_path: Path, taught: bool) -> None:
    assert_same(*whole_and_resumed(lambda: _trainer(taught=taught), tmp_path))
