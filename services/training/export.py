"""Writes model directories: model.toml, float16 weights and the files that go with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from services.captioning.config import CaptionerConfig
from services.classification.config import ImageEncoderConfig
from services.generation.config import GeneratorConfig
from services.text.config import TextEncoderConfig
from services.training.data.captions import label
from services.training.data.pack import Pack
from services.training.data.sources import SOURCES
from shared.inference.model_directory import FILE_NAME, SCHEMA, sha256_of
from shared.inference.weights import write_weights

WEIGHTS_FILE = "model.safetensors"

ModelConfig = TextEncoderConfig | ImageEncoderConfig | GeneratorConfig | CaptionerConfig

SERVING: dict[str, dict[str, object]] = {
    "text": {"bucket_sizes": [1, 2, 4, 8, 16], "microbatch": 4},
    "classification": {"bucket_sizes": [1, 2, 4, 8, 16], "languages": ["en", "zh"]},
    "generation": {"bucket_sizes": [1, 2, 4, 8], "microbatch": 4},
    "captioning": {"bucket_sizes": [1, 4, 16], "languages": ["en", "zh"]},
}
"""`[serving]` of each task; `microbatch` keeps results independent of batch-mates."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What model.toml says of a model beside its shape."""

    name: str
    version: str
    space: str
    description: str
    licence: str = "Apache-2.0"
    training: Mapping[str, object] = field(default_factory=dict)
    """How it was trained: `command`, `seed`, `steps`, `minutes`, ..."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    serving: Mapping[str, object] = field(default_factory=dict)
    """What `[serving]` says beside SERVING."""
    builtin_data: bool = True
    """Whether it was trained on the built-in drawings, whose authors model.toml then names."""


def write_model_directory(
    folder: Path, *, task: str, module: nn.Module, config: ModelConfig, card: Card, files: Sequence[str] = ()
) -> Path:
    """Writes the weights and model.toml beside `files`, which are there already; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = write_weights(module, folder / WEIGHTS_FILE)
    top = {
        "schema": SCHEMA,
        "name": card.name,
        "version": card.version,
        "task": task,
        "space": card.space,
        "licence": card.licence,
        "description": card.description,
    }
    tables: dict[str, Mapping[str, object]] = {
        "weights": {"file": WEIGHTS_FILE, "sha256": digest},
        "files": {name: sha256_of(folder / name) for name in files},
        "architecture": {name: value for name, value in asdict(config).items() if value not in ((), 0)},
        "serving": {**SERVING[task], **card.serving},
        "training": card.training,
        "metrics": card.metrics,
    }
    text = toml_lines(top) + "".join(f"\n[{name}]\n{toml_lines(table)}" for name, table in tables.items() if table)
    for source in SOURCES if card.training and card.builtin_data else ():
        data = {"set": source.style, "author": source.author, "licence": source.licence, "package": source.package}
        text += f"\n[[data]]\n{toml_lines(data)}"
    (folder / FILE_NAME).write_text(text, "utf-8")
    return folder


def write_labels(folder: Path, pack: Pack, heads: Mapping[str, Sequence[Mapping[str, str]]] | None = None) -> str:
    """Writes labels.json, the names of the classifier's concepts and of its further heads' labels; returns its name.

    heads: by head its labels in the order of its rows, each with `id` and its name under the code of each language.
    """
    folder.mkdir(parents=True, exist_ok=True)
    concepts = [{"id": one.id, "en": label(one, "en"), "zh": label(one, "zh")} for one in pack.concepts]
    tables = {"concept": concepts, **(heads or {})}
    arrays = (f'"{head}": {json_lines(labels)}' for head, labels in tables.items())
    text = "{\n" + ",\n".join(arrays) + "\n}" if heads else json_lines(concepts)
    (folder / "labels.json").write_text(f"{text}\n", "utf-8")
    return "labels.json"


def json_lines(entries: Sequence[Mapping[str, str]]) -> str:
    """A JSON array with an entry a line, as labels.json has it."""
    return "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in entries) + "\n]"


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> str:
    """Writes tokenizer.json; returns its name."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    return "tokenizer.json"


def toml_lines(table: Mapping[str, Any]) -> str:
    """A table of model.toml, a line a key."""
    return "".join(f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in table.items())


def _toml_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(one)}" for key, one in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)  # TOML's basic strings, numbers, booleans and arrays are JSON's


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)
