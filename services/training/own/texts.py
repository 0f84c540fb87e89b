"""Texts to the vectors of a frozen text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.text.model import TextEncoder
from services.training.samples import tokenize

CHUNK = 256


def encode_texts(text: TextEncoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """(N, V) float32 of unit norm, on the encoder's device; each different text is encoded once."""
    different = {one: index for index, one in enumerate(dict.fromkeys(texts))}
    listed, device = list(different), next(text.parameters()).device
    parts = []
    text.eval()
    with torch.no_grad():
        for start in range(0, len(listed), CHUNK):
            tokens, mask = tokenize(tokenizer, listed[start : start + CHUNK])
            parts.append(text(tokens.to(device), mask.to(device)))
    return torch.cat(parts)[[different[one] for one in texts]]
