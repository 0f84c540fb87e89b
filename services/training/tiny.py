"""Four tiny models with random weights that share one space: what tests run in place of the trained ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from services.captioning.config import PRESETS as CAPTIONER_PRESETS
from services.captioning.config import CaptionerConfig, start_token
from services.captioning.model import Captioner
from services.classification.config import PRESETS as IMAGE_PRESETS
from services.classification.config import ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.generation.config import PRESETS as GENERATOR_PRESETS
from services.generation.config import GeneratorConfig
from services.generation.model import Generator
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.captions import clean_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import SPLITS, Concept, Pack
from services.training.data.sources import STYLES
from services.training.encoding.word_layers import begins_word
from services.training.export import Card, ModelConfig, write_labels, write_model_directory, write_tokenizer
from services.training.tokenizers import train_tokenizer

VOCABULARY = 300

TINY_HEADS = {
    "subgroup": ("animal", "building", "fruit"),
    "background": ("plain", "meadow", "night"),
    "objects": ("cat", "dog", "house", "apple", "moon"),
    "colour": ("black", "red"),
    "style": ("flat", "line"),
}
"""The labels of a tiny classifier's further heads."""

_WORDS = (
    ("a", "cat", "只", "猫", "animal-mammal"),
    ("a", "dog", "只", "狗", "animal-mammal"),
    ("a", "house", "座", "房子", "place-building"),
    ("an", "apple", "个", "苹果", "food-fruit"),
)


def tiny_pack(*, seed: int = 0) -> Pack:
    """Four concepts in all styles, drawn as noise: (44, 64, 64, 3)."""
    concepts = tuple(
        Concept(
            id=en, article=article, en=en, measure=measure, zh=zh,
            en_synonyms=(), zh_synonyms=(), en_tags=("thing",), zh_tags=("东西",), group="things", subgroup=subgroup,
        )
        for article, en, measure, zh, subgroup in _WORDS
    )  # fmt: skip
    rows = len(concepts) * len(STYLES)
    rng = np.random.default_rng(seed)
    return Pack(
        pixels=rng.integers(0, 256, (rows, 64, 64, 3), dtype=np.uint8),
        alpha=np.full((rows, 64, 64), 255, dtype=np.uint8),
        concept=np.repeat(np.arange(len(concepts)), len(STYLES)),
        style=np.tile(np.arange(len(STYLES)), len(concepts)),
        split=np.select(
            [np.arange(rows) % 18 == 8, np.arange(rows) % 18 == 17],
            [SPLITS.index("test_pair"), SPLITS.index("validation")],
        ).astype(np.uint8),
        concepts=concepts,
        styles=STYLES,
    )


def write_tiny_models(root: Path, *, seed: int = 0, space: str = "tiny") -> dict[str, Path]:
    """Writes a model directory for each task below `root`; keys `text`, `classification`, `generation`, `captioning`.

    Equal seeds give equal weights; torch's global random state is left as it was.
    """
    pack = tiny_pack()
    captions = _captions(pack)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return {
            "text": _write_text(root / "text", captions, space),
            "classification": _write_classification(root / "classification", pack, space),
            "generation": _write_generation(root / "generation", space),
            "captioning": _write_captioning(root / "captioning", captions, space),
        }


def write_tiny_text_encoder(folder: Path, *, space: str = "tiny", **shape: Any) -> Path:
    """Writes a model directory for the task `text`; shape: fields of TextEncoderConfig, in place of the preset's."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return _write_text(folder, _captions(tiny_pack()), space, **shape)


def _captions(pack: Pack) -> list[str]:
    return [clean_caption(concept, language) for concept in pack.concepts for language in LANGUAGES]


def _write_text(folder: Path, captions: list[str], space: str, **shape: Any) -> Path:
    tokenizer = train_tokenizer(captions, vocabulary=VOCABULARY, lower_case=True)
    file = write_tokenizer(folder, tokenizer)
    config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **{**TEXT_PRESETS["tiny"], **shape})
    text = TextEncoder(config)
    if config.word_layers:
        text.begins_word.copy_(begins_word(tokenizer))
    return _write(folder, "text", text, config, space, [file])


def write_tiny_classifier(
    folder: Path, *, seed: int = 0, space: str = "tiny", serving: Mapping[str, object] | None = None, **shape: Any
) -> Path:
    """Writes a model directory for the task `classification` with all heads.

    shape: fields of ImageEncoderConfig, in place of the preset's. serving: what `[serving]` says besides.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return _write_classification(folder, tiny_pack(), space, TINY_HEADS, serving or {}, **shape)


def _write_classification(
    folder: Path,
    pack: Pack,
    space: str,
    heads: Mapping[str, Sequence[str]] | None = None,
    serving: Mapping[str, object] | None = None,
    **shape: Any,
) -> Path:
    tables = {head: [{"id": one, "en": one, "zh": one} for one in labels] for head, labels in (heads or {}).items()}
    file = write_labels(folder, pack, tables)
    config = ImageEncoderConfig(
        concepts=len(pack.concepts),
        heads={head: len(labels) for head, labels in tables.items()},
        **{**IMAGE_PRESETS["tiny"], **shape},
    )
    return _write(folder, "classification", ImageEncoder(config), config, space, [file], serving)


def _write_generation(folder: Path, space: str) -> Path:
    config = GeneratorConfig(**GENERATOR_PRESETS["tiny"])  # type: ignore[arg-type]
    return _write(folder, "generation", Generator(config), config, space, [])


def write_tiny_captioner(folder: Path, *, space: str = "tiny", **shape: int) -> Path:
    """Writes a model directory for the task `captioning`; shape: fields of CaptionerConfig."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return _write_captioning(folder, _captions(tiny_pack()), space, **shape)


def _write_captioning(folder: Path, captions: list[str], space: str, **shape: int) -> Path:
    special = ("<end>", start_token("en"), start_token("zh"))
    tokenizer = train_tokenizer(captions, vocabulary=VOCABULARY, lower_case=False, special=special)
    file = write_tokenizer(folder, tokenizer)
    config = CaptionerConfig(vocabulary=tokenizer.get_vocab_size(), **{**CAPTIONER_PRESETS["tiny"], **shape})
    return _write(folder, "captioning", Captioner(config), config, space, [file])


def _write(
    folder: Path,
    task: str,
    module: torch.nn.Module,
    config: ModelConfig,
    space: str,
    files: list[str],
    serving: Mapping[str, object] | None = None,
) -> Path:
    words = "Random weights, for tests."
    card = Card(name=f"tiny-{task}", version="0.0.0", space=space, description=words, serving=serving or {})
    return write_model_directory(folder, task=task, module=module, config=config, card=card, files=files)
