"""The lexicon's file and its synonyms, on three words a language."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from services.training.data.lexicon import Belief, Lexicon, Meaning, read_lexicon, write_lexicon
from services.training.teachers.space import TeacherSpace
from shared.errors import ConfigurationError

DOG = Meaning(family="scene", kind="object", id="dog", en=("dog", "hound"), zh=("狗", "犬"))
WOLF = Meaning(family="concept", kind="concept", id="wolf", en=("wolf",), zh=("狼",))


def _lexicon() -> Lexicon:
    rng = np.random.default_rng(0)
    words: dict[str, tuple[str, ...]] = {"en": ("doggie", "pooch", "wolf"), "zh": ("小狗狗", "汪星人", "狼")}
    return Lexicon(
        meanings=(DOG, WOLF),
        words=words,
        vectors={language: rng.normal(size=(3, 128)).astype(np.float16) for language in words},
        nearest={language: np.zeros((3, 2, 4), np.int16) for language in words},
        similarity={language: np.ones((3, 2, 4), np.float16) for language in words},
        meaning_vectors={language: rng.normal(size=(2, 128)).astype(np.float16) for language in words},
        beliefs={
            "en": tuple(Belief(word=i, meaning=0, similarity=s) for i, s in enumerate((0.75, 0.875, 0.9375))),
            "zh": (Belief(word=1, meaning=0, similarity=0.5),),
        },
        space=TeacherSpace(
            e5_centre={language: rng.normal(size=384).astype(np.float32) for language in words},
            minilm_centre=rng.normal(size=384).astype(np.float32),
            bridge=rng.normal(size=(384, 384)).astype(np.float32),
            basis=rng.normal(size=(768, 128)).astype(np.float32),
        ),
    )


def test_synonyms_come_nearest_first_for_every_name_and_no_name_is_one() -> None:
    lexicon = _lexicon()
    for name in ("dog", "hound"):
        assert lexicon.synonyms(name, "en") == [("pooch", 0.875), ("doggie", 0.75)]
    assert lexicon.synonyms("犬", "zh") == [("汪星人", 0.5)]
    assert lexicon.synonyms("table", "en") == []


def test_the_file_gives_back_what_was_written_byte_for_byte(tmp_path: Path) -> None:
    lexicon = _lexicon()
    write_lexicon(lexicon, tmp_path / "first.safetensors")
    read = read_lexicon(tmp_path / "first.safetensors")
    assert (read.meanings, read.words, read.beliefs) == (lexicon.meanings, lexicon.words, lexicon.beliefs)
    np.testing.assert_array_equal(read.vectors["zh"], lexicon.vectors["zh"])
    np.testing.assert_array_equal(read.space.basis, lexicon.space.basis)
    write_lexicon(read, tmp_path / "second.safetensors")
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "second.safetensors").read_bytes()


@pytest.mark.parametrize("content", [None, b"no lexicon", save({"space.bridge": np.zeros(3)})])
def test_a_file_that_is_missing_or_of_something_else_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "lexicon.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"lexicon\.safetensors is no lexicon.*diptych data lexicon"):
        read_lexicon(file)


def test_the_file_may_be_read_by_whoever_may_read_others(tmp_path: Path) -> None:
    write_lexicon(_lexicon(), tmp_path / "lexicon.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "lexicon.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
