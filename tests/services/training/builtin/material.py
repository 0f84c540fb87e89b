"""Training data for tests: a tiny pack, plain sprites, three words of a lexicon, and 32 scenes."""

from __future__ import annotations

from pathlib import Path

from services.training.data.lexicon import write_lexicon
from services.training.data.pack import write_pack
from services.training.data.scenes.sprites import write_sprites
from services.training.tiny import tiny_pack
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.data.tiny_lexicon import tiny_lexicon

SCENES = 32


def write_material(root: Path) -> list[str]:
    """Writes it below `root`; the options that say where."""
    write_pack(tiny_pack(), root / "pack")
    write_sprites(sprites(), root / "pack" / "sprites.tar")
    write_lexicon(tiny_lexicon(), root / "lexicon.safetensors")
    return [
        "--data", f"{root / 'pack'}", "--lexicon", f"{root / 'lexicon.safetensors'}", "--scenes", f"{root / 'scenes'}",
        "--scene-count", f"{SCENES}",
    ]  # fmt: skip
