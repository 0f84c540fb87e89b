"""Shape of the caption decoder, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CaptionerConfig:
    """A transformer decoder that attends to the tokens and the vector of a picture."""

    vocabulary: int
    """Tokens of tokenizer.json: padding, end, one start token a language, then text."""
    width: int
    layers: int
    heads: int
    """Divides `width`."""
    longest: int
    """Tokens of the longest caption, start and end included."""
    memory_tokens: int
    """Tokens of a picture."""
    token_width: int
    """Numbers of a picture's token."""
    space_width: int
    """Numbers of a vector of the joint space."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads: expected a divisor of the width {self.width}, found {self.heads}")
        if self.longest < 2:
            raise ValueError(f"longest: expected at least 2, for start and end, found {self.longest}")


PADDING, END = 0, 1

PRESETS: dict[str, dict[str, int]] = {
    # 2.3 M parameters with 1,200 tokens
    "scenes": dict(width=192, layers=3, heads=4, longest=64, memory_tokens=64, token_width=256, space_width=256),
    # 1.1 M, 5.4 M and 27.6 M with 4,000 tokens
    "small": dict(width=128, layers=2, heads=2, longest=32, memory_tokens=16, token_width=256, space_width=256),
    "base": dict(width=256, layers=4, heads=4, longest=48, memory_tokens=64, token_width=256, space_width=256),
    "large": dict(width=512, layers=6, heads=8, longest=64, memory_tokens=64, token_width=256, space_width=256),
    "tiny": dict(width=16, layers=1, heads=2, longest=8, memory_tokens=4, token_width=16, space_width=32),
}
"""Named shapes, less the vocabulary, which the tokenizer knows."""


def start_token(language: str) -> str:
    """The token a caption in `language` starts with."""
    return f"<{language}>"
