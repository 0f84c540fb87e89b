"""What `diptych evaluate` can measure on its own."""

from __future__ import annotations

from enum import StrEnum


class Subject(StrEnum):
    """The tasks of the platform, and retrieval, which needs both encoders."""

    CLASSIFICATION = "classification"
    RETRIEVAL = "retrieval"
    IMAGE_TO_TEXT = "image-to-text"
    TEXT_TO_IMAGE = "text-to-image"
