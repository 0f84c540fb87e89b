"""How large a picture and an encoding may be: what services apply and a gateway tells, so without Pillow."""

from __future__ import annotations

IMAGE_SIDE = 8_192
"""Pixels of the longer side."""
IMAGE_PIXELS = 16_000_000
"""Pixels in all."""
IMAGE_BYTES = 8 * 1024 * 1024
"""Largest picture file that a service takes."""
ENCODING_NUMBERS = 16_384
"""Of the vector of an encoding; joint spaces have hundreds to a few thousand."""
ENCODING_TOKEN_BYTES = 1024 * 1024
"""Of its tokens, as `encoding.proto` promises."""
