"""Settings of the captioning service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.settings import ModelServiceSettings


class CaptioningSettings(ModelServiceSettings):
    """What the captioning service adds to every model service's settings."""

    model_directory: Path = Path(__file__).parent / "weights"
    """Folder with `model.toml` and the weights; the embedded model when not set."""
    max_encodings: int = Field(default=16, ge=1)
    """Encodings a call."""
    max_candidates: int = Field(default=16, ge=1, le=16)
    """Captions wanted a picture, at most."""
