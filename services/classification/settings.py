"""Settings of the classification service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import ModelServiceSettings


class ClassificationSettings(ModelServiceSettings):
    """What the classification service adds to every model service's settings."""

    model_directory: Path = Path(__file__).parent / "weights"
    """Folder with `model.toml` and the weights; the embedded model when not set."""
    max_images: int = Field(default=16, ge=1)
    """Images a call."""
    max_labels: int = Field(default=256, ge=1)
    """Label encodings of the caller's own a call (zero-shot)."""
