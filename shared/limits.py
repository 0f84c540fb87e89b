"""How large pictures, encodings and messages may be: what services apply and a gateway tells, so without Pillow."""

from __future__ import annotations

IMAGE_SIDE = 8_192
"""Pixels of the longer side."""
IMAGE_PIXELS = 16_000_000
"""Pixels in all."""
IMAGE_BYTES = 8 * 1024 * 1024
"""Largest picture file that a service takes."""
TEXT_BYTES = 8 * 1024 * 1024
"""Longest prompt, text or label, as UTF-8, that a server reads at all; what it takes is far less."""
ENCODING_NUMBERS = 16_384
"""Of the vector of an encoding; joint spaces have hundreds to a few thousand."""
ENCODING_TOKEN_BYTES = 1024 * 1024
"""Of its tokens, as `encoding.proto` promises."""
LABELS_BYTES = 1024 * 1024
"""What a gateway may add to a request on its way to a service: 256 encodings of labels, of a thousand numbers each."""
