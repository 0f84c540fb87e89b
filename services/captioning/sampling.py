"""Captions of a picture drawn at random: ancestral sampling with temperature and nucleus, from numbers given."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from services.captioning.config import END, PADDING
from services.captioning.model import Captioner, KeyValue


def caption_noise(seed: int, width: int, steps: int) -> Tensor:
    """(K, L) uniform in [0, 1), float32; the first rows are the same for every K.

    NumPy's frozen generator, because torch's takes only the low 32 bits of a seed on the CPU.
    """
    frozen = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
    return torch.from_numpy(frozen.random_sample((width, steps)).astype(np.float32))


def sample(
    model: Captioner,
    tokens: Tensor,
    vectors: Tensor,
    start: Tensor,
    noise: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    *,
    stop_early: bool = True,
) -> tuple[Tensor, Tensor]:
    """K captions a picture, each word drawn where its number of `noise` falls.

    tokens (B, T, W'), vectors (B, V), start (B,) start tokens, noise (B, K, L) in [0, 1), temperature (B,) above 0,
    top_p (B,) above 0 and up to 1 -> token ids (B, K, L) after the start token, padded; and (B, K, L) the natural-log
    probability of each, the end included, at temperature 1 and among all words, as for captions that are searched for;
    0 of what comes after the end.
    """
    pictures = model.look(model.remember(tokens, vectors))
    batch, width, steps = noise.shape
    word = start[:, None].expand(batch, width)
    words = torch.full((batch, width, steps), PADDING, device=start.device)
    scores = torch.zeros((batch, width, steps), device=start.device)
    running = torch.ones_like(words[:, :, 0], dtype=torch.bool)
    past: list[KeyValue] = []
    for place in range(steps):
        logits, past = model.step(word, place, past, pictures)  # (B, K, vocabulary)
        likely = functional.log_softmax(logits, dim=-1)
        logits[:, :, PADDING] = -torch.inf
        drawn = draw(logits / temperature[:, None, None], top_p[:, None, None], noise[:, :, place])
        word = drawn.where(running, PADDING)
        words[:, :, place] = word
        scores[:, :, place] = likely.gather(2, drawn[:, :, None])[:, :, 0].where(running, 0)
        running = running & (word != END)
        if stop_early and not running.any():
            break
    return words, scores


def mean_scores(words: Tensor, scores: Tensor) -> Tensor:
    """What `sample` returns -> (B, K) mean log-probability a token."""
    return scores.sum(dim=2) / (words != PADDING).sum(dim=2)


def draw(logits: Tensor, top_p: Tensor, noise: Tensor) -> Tensor:
    """(B, K, N), (B, 1, 1) and (B, K) in [0, 1) -> (B, K) indices below N.

    From the fewest likeliest that have `top_p` of the probability together (nucleus sampling, Holtzman et al. 2020,
    arXiv:1904.09751, 3.1); with 1 from all.
    """
    probabilities, order = logits.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    kept = probabilities * (before < top_p)  # the likeliest always is
    cumulative = kept.cumsum(dim=-1)
    index = (cumulative <= noise[:, :, None] * cumulative[:, :, -1:]).sum(dim=-1)
    last = (kept > 0).sum(dim=-1) - 1  # rounding may lead past it
    return order.gather(2, index.minimum(last)[:, :, None])[:, :, 0]
