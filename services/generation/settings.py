"""Settings of the generation service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import ModelServiceSettings


class GenerationSettings(ModelServiceSettings):
    """What the generation service adds to every model service's settings."""

    model_directory: Path = Path(__file__).parent / "weights"
    """Folder with `model.toml` and the weights; the embedded model when not set."""
    max_seeds: int = Field(default=16, ge=1)
    """Seeds, and so pictures, a call."""
