"""Shape of the text encoder, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """A transformer or a bidirectional LSTM over byte-level BPE tokens."""

    vocabulary: int
    """Tokens of tokenizer.json; id 0 is padding."""
    width: int
    layers: int
    heads: int
    """Divides `width` into even head widths, which rotary positions need; an LSTM has none and says 1."""
    space_width: int
    """Numbers of a vector of the joint space."""
    kind: Literal["transformer", "lstm"] = "transformer"
    """What the layers are."""
    word_layers: int = 0
    """How many of a transformer's first layers show each token no more than the word that it is of."""

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ValueError(f"heads: expected a divisor of half the width {self.width}, found {self.heads}")
        most = self.layers if self.kind == "transformer" else 0
        if not 0 <= self.word_layers <= most:
            raise ValueError(f"word_layers: expected 0 to {most}, found {self.word_layers}")


PRESETS: dict[str, dict[str, Any]] = {
    "scenes": dict(width=256, layers=4, heads=4, space_width=256),  # 5.3 M parameters with 8,000 tokens
    "lstm": dict(width=256, layers=3, heads=1, space_width=256, kind="lstm"),
    "small": dict(width=128, layers=2, heads=2, space_width=256),  # 0.9 M with 4,000 tokens
    "base": dict(width=256, layers=4, heads=4, space_width=256),  # 4.3 M
    "large": dict(width=512, layers=6, heads=8, space_width=256),  # 21.1 M
    "tiny": dict(width=16, layers=2, heads=2, space_width=32),  # 12 k with 300 tokens: tests only
}
"""Named shapes, less the vocabulary, which the tokenizer knows."""
