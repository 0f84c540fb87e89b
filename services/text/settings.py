"""Settings of the text service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import ModelServiceSettings


class TextSettings(ModelServiceSettings):
    """What the text service adds to every model service's settings."""

    model_directory: Path = Path(__file__).parent / "weights"
    """Folder with `model.toml` and the weights; the embedded model when not set."""
    max_texts: int = Field(default=64, ge=1)
    """Texts a call."""
    max_characters: int = Field(default=500, ge=1)
    """Characters (Unicode code points) a text."""
