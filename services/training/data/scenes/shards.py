"""Writes composed scenes as WebDataset shards (NNNNNNNN.png, .mask.png and .json), equal bytes for equal seeds."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from services.training.data.scenes.captions import SceneCaption, caption
from services.training.data.scenes.composer import ComposedScene, compose
from services.training.data.scenes.splits import is_held_out
from services.training.data.scenes.sprites import SpriteSet

SCENES_A_SHARD = 1000


def write_shards(
    sprites: SpriteSet,
    out: Path,
    *,
    count: int,
    seed: int,
    split: str,
    report: Callable[[int], None],
    scenes_a_shard: int = SCENES_A_SHARD,
) -> list[Path]:
    """Writes `count` scenes with seeds from `seed` on; `report` hears how many are done. Returns the shards.

    A shard appears under its name (`scenes-train-000000.tar`) only when it is whole.
    """
    out.mkdir(parents=True, exist_ok=True)
    shards = []
    for number, start in enumerate(range(0, count, scenes_a_shard)):
        shard = out / f"scenes-{split}-{number:06}.tar"
        unfinished = shard.with_suffix(".part")
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
            for index in range(start, min(start + scenes_a_shard, count)):
                _add_scene(tar, index, compose(seed + index, sprites, split=split))
                report(index + 1)
        unfinished.rename(shard)
        shards.append(shard)
    return shards


def _add_scene(tar: tarfile.TarFile, index: int, composed: ComposedScene) -> None:
    rng = random.Random(f"captions/{composed.scene.seed}")
    english, chinese = (caption(composed.scene, language, rng) for language in ("en", "zh"))
    key = f"{index:08}"
    _add(tar, f"{key}.png", _png(composed.pixels))
    _add(tar, f"{key}.mask.png", _png(composed.instances))
    _add(tar, f"{key}.json", json.dumps(_row(composed, english, chinese), ensure_ascii=False).encode())


def _row(composed: ComposedScene, english: SceneCaption, chinese: SceneCaption) -> dict[str, Any]:
    return {
        "caption_en": english.text,
        "caption_zh": chinese.text,
        "facts_en": sorted([fact.kind, *fact.value] for fact in english.facts),
        "facts_zh": sorted([fact.kind, *fact.value] for fact in chinese.facts),
        "held_out": is_held_out(composed.scene),
        "truth": asdict(composed.scene),
    }


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
