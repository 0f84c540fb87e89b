"""Scenes composed once and read often: memory-mapped pictures beside their truths."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.training.data.scenes.composer import compose
from services.training.data.scenes.sprites import SpriteSet, read_sprites
from services.training.data.scenes.truth import Relation, Scene, SceneObject

CELLS = 16
"""Cells a side of the map of objects."""
LEAST_SHARE = 0.3
"""Of a cell's pixels, for an object to be what the cell shows."""
CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class ScenePool:
    """N scenes of one split."""

    pixels: Sequence[NDArray[np.uint8]]
    """Chunks of (C, side, side, 3), equally long, on disk."""
    cells: NDArray[np.uint8]
    """(N, CELLS, CELLS): 0 for background, i + 1 where object i covers most of what objects cover."""
    scenes: Sequence[Scene]

    def __len__(self) -> int:
        return len(self.scenes)

    def pictures(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        """(B, side, side, 3)."""
        chunk = len(self.pixels[0])
        return np.stack([self.pixels[row // chunk][row % chunk] for row in rows])


def read_pool(folder: Path, *, most: int | None = None) -> ScenePool:
    """Reads what `build_pool` has written so far, whole files until there are `most` scenes."""
    scenes: list[Scene] = []
    pixels, cells = [], []
    for file in sorted(folder.glob("*.jsonl")):
        if most is not None and len(scenes) >= most:
            break
        scenes += [_scene(json.loads(line)) for line in file.read_text("utf-8").splitlines()]
        pixels.append(np.load(file.with_suffix(".pixels.npy"), mmap_mode="r"))
        cells.append(np.load(file.with_suffix(".cells.npy")))
    return ScenePool(pixels=pixels, cells=np.concatenate(cells), scenes=scenes)


def build_pool(folder: Path, sprites: Path, *, count: int, first_seed: int, split: str, workers: int,
               chunk: int = CHUNK) -> None:  # fmt: skip
    """Composes `count` scenes with seeds from `first_seed` on, `chunk` a file; goes on where it stopped.

    workers: processes that compose; with 0 this one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(first_seed, first_seed + count, chunk)
    todo = [(folder, first, chunk, split) for first in firsts if not (folder / f"{first:08}.jsonl").exists()]
    if not todo:
        return
    if not workers:
        _open(sprites)
        for task in todo:
            _build_chunk(task)
        return
    with multiprocessing.get_context("spawn").Pool(workers, _open, (sprites,)) as pool:
        for _ in pool.imap_unordered(_build_chunk, todo):
            pass


_sprites: SpriteSet


def _open(file: Path) -> None:
    global _sprites
    _sprites = read_sprites(file)


def _build_chunk(task: tuple[Path, int, int, str]) -> None:
    folder, first, chunk, split = task
    composed = [compose(seed, _sprites, split=split) for seed in range(first, first + chunk)]
    stem = folder / f"{first:08}"
    np.save(stem.with_suffix(".pixels.npy"), np.stack([one.pixels for one in composed]))
    np.save(stem.with_suffix(".cells.npy"), np.stack([cell_map(one.instances) for one in composed]))
    part = stem.with_suffix(".part")
    part.write_text("".join(json.dumps(asdict(one.scene)) + "\n" for one in composed), "utf-8")
    os.replace(part, stem.with_suffix(".jsonl"))


def _scene(record: dict[str, Any]) -> Scene:
    objects = tuple(SceneObject(**{**one, "box": tuple(one["box"])}) for one in record.pop("objects"))
    relations = tuple(Relation(**one) for one in record.pop("relations"))
    return Scene(**record, objects=objects, relations=relations)


def cell_map(instances: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(side, side) of instance numbers, 0 for background -> (CELLS, CELLS) of the same."""
    step = instances.shape[0] // CELLS
    blocks = instances.reshape(CELLS, step, CELLS, step)
    count = int(instances.max())
    shares = np.stack([(blocks == one).mean(axis=(1, 3)) for one in range(1, count + 1)] or [np.zeros((CELLS, CELLS))])
    best = shares.argmax(axis=0)
    return np.where(shares.max(axis=0) >= LEAST_SHARE, best + 1, 0).astype(np.uint8)
