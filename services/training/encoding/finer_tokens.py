"""Cuts tokens finer than they need be, so that an encoder knows words by their parts.

What BPE dropout does (Provilkov et al. 2020, arXiv:1910.13267) by leaving merges out, done backwards: merges that were
made are taken back. The draws are the caller's, where those of `tokenizers` have no seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from tokenizers import Tokenizer


class FinerTokens:
    """Takes back merges of a BPE tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        model = json.loads(tokenizer.to_str())["model"]
        ids = model["vocab"]
        merges = (merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"])
        self._parts = {ids[first + second]: (ids[first], ids[second]) for first, second in merges}

    def cut(self, tokens: Sequence[int], rng: random.Random, *, share: float) -> list[int]:
        """Each merge that made a token is taken back with probability `share`, and those that made its parts."""
        finer: list[int] = []
        for token in tokens:
            if token in self._parts and rng.random() < share:
                finer += self.cut(self._parts[token], rng, share=share)
            else:
                finer.append(token)
        return finer
