"""The lexicon's file and its synonyms, on three words a language."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from services.training.data.lexicon import read_lexicon, write_lexicon
from shared.errors import ConfigurationError
from tests.services.training.data.tiny_lexicon import tiny_lexicon


def test_synonyms_come_nearest_first_for_every_name_and_no_name_is_one() -> None:
    lexicon = tiny_lexicon()
    for name in ("dog", "hound"):
        assert lexicon.synonyms(name, "en") == [("pooch", 0.875), ("doggie", 0.75)]
    assert lexicon.synonyms("犬", "zh") == [("汪星人", 0.5)]
    assert lexicon.synonyms("table", "en") == []


def test_the_file_gives_back_what_was_written_byte_for_byte(tmp_path: Path) -> None:
    lexicon = tiny_lexicon()
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
    write_lexicon(tiny_lexicon(), tmp_path / "lexicon.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "lexicon.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
