"""What the built-in models are trained on: pictograms, the scenes' drawings, and scenes composed of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from services.training.data.pack import Pack, read_pack
from services.training.data.scenes import composer
from services.training.data.scenes.pool import CHUNK, ScenePool, build_pool, read_pool
from services.training.data.scenes.sprites import SpriteSet, read_sprites
from services.training.data.scenes.truth import Scene
from services.training.generating.scene_drawings import SceneDrawings, scene_drawings
from shared.errors import ConfigurationError

VALIDATION_SCENES = 1000
COMPOSER = Path(composer.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Material:
    """Training data on disk, each part read when it is first asked for."""

    folder: Path
    """Of the pack and of sprites.tar, as `diptych data build` writes them."""
    scenes: Path
    """Composed scenes are kept in a folder below."""
    scene_count: int
    workers: int
    """Processes that compose."""
    console: Console

    @cached_property
    def pack(self) -> Pack:
        """The pictograms. Raises ConfigurationError where there are none."""
        return read_pack(self.folder)

    @property
    def sprites_file(self) -> Path:
        """The scenes' drawings. Raises ConfigurationError where there are none."""
        file = self.folder / "sprites.tar"
        if not file.exists():
            raise ConfigurationError(f"there is no {file}; `diptych data build` makes it")
        return file

    @cached_property
    def sprites(self) -> SpriteSet:
        """The same, read."""
        return read_sprites(self.sprites_file)

    @cached_property
    def drawings(self) -> SceneDrawings:
        """The same in every colour, as the painter learns them."""
        return scene_drawings(self.sprites_file, first_row=len(self.pack.concepts), styles=self.pack.styles)

    @cached_property
    def pool(self) -> ScenePool:
        """`scene_count` scenes of the split `train`, composed now or by an earlier command."""
        digest = hashlib.sha256(self.sprites_file.read_bytes())
        for file in sorted(COMPOSER.iterdir()):
            if file.suffix in (".py", ".csv"):
                digest.update(file.read_bytes())
        chunk = min(CHUNK, self.scene_count)
        # Other drawings, another composer or other held-out pairs make other scenes.
        folder = self.scenes / f"{digest.hexdigest()[:12]}-{chunk}"
        with self.console.status(f"composing {self.scene_count} scenes"):
            build_pool(folder, self.sprites_file, count=self.scene_count, first_seed=0, split="train",
                       workers=self.workers, chunk=chunk)  # fmt: skip
        return read_pool(folder, most=self.scene_count)

    @cached_property
    def validation(self) -> tuple[Sequence[Scene], NDArray[np.uint8]]:
        """Scenes of the split `validation`, and their pictures (N, H, W, 3) uint8."""
        count = min(VALIDATION_SCENES, self.scene_count)
        composed = [composer.compose(seed, self.sprites, split="validation") for seed in range(count)]
        return [one.scene for one in composed], np.stack([one.pixels for one in composed])
