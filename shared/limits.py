"""How large a picture may be: what a model process applies and a gateway tells, so without Pillow."""

from __future__ import annotations

IMAGE_SIDE = 8_192
"""Pixels of the longer side."""
IMAGE_PIXELS = 16_000_000
"""Pixels in all."""
IMAGE_BYTES = 8 * 1024 * 1024
"""Largest picture file that a service takes."""
