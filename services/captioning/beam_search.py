"""Several different captions of a picture: beam search over the decoder's next words."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from services.captioning.config import END, PADDING
from services.captioning.model import Captioner, KeyValue


def beam_search(
    model: Captioner, tokens: Tensor, vectors: Tensor, start: Tensor, width: int, *, stop_early: bool = True
) -> tuple[Tensor, Tensor]:
    """The `width` best of all sentences that `width` growing ones a picture could have ended as.

    At each step every growing sentence is also weighed as ending here. The score is the mean log-probability a token
    (the length penalty of Wu et al. 2016, arXiv:1609.08144, equation 14, in its simplest form). The search is over when
    even the likeliest growing sentence of each picture, were all its further words certain, could not beat the worst
    that is kept: to go on for the sake of another picture, or without `stop_early`,
    changes nothing.

    tokens (B, T, W'), vectors (B, V), start (B,) start tokens -> token ids (B, K, L) without start and end, padded; and
    (B, K) mean natural-log probability a token, the end included, falling; -inf where there is no further sentence.
    """
    pictures = model.look(model.remember(tokens, vectors))
    batch, steps = len(start), model.config.longest - 1
    words = start[:, None, None].expand(batch, width, 1)  # (B, K, 1 + place)
    sums = torch.full((batch, width), -torch.inf, device=start.device)
    sums[:, 0] = 0  # the other beams would be copies of the first
    best_words = torch.full((batch, width, steps), PADDING, device=start.device)
    best = torch.full_like(sums, -torch.inf)
    past: list[KeyValue] = []
    for place in range(steps):
        logits, past = model.step(words[:, :, -1], place, past, pictures)  # (B, K, vocabulary)
        totals = sums[:, :, None] + functional.log_softmax(logits, dim=-1)
        best, order = torch.cat((best, totals[:, :, END] / (place + 1)), dim=1).topk(width)
        ended = functional.pad(words[:, :, 1:], (0, steps - place), value=PADDING)
        best_words = _choose(torch.cat((best_words, ended), dim=1), order)
        totals[:, :, PADDING] = totals[:, :, END] = -torch.inf
        sums, chosen = totals.flatten(1).topk(width)  # (B, K), falling
        parent, word = chosen // totals.shape[2], chosen % totals.shape[2]
        words = torch.cat((_choose(words, parent), word[:, :, None]), dim=2)
        if stop_early and (sums[:, 0] / steps <= best[:, -1]).all():
            break
        rows = (parent + width * torch.arange(batch, device=start.device)[:, None]).flatten()
        past = [(key[rows], value[rows]) for key, value in past]
    return best_words, best


def _choose(sentences: Tensor, index: Tensor) -> Tensor:
    """(B, N, L) and (B, K) indices below N -> (B, K, L)."""
    return sentences.gather(1, index[:, :, None].expand(-1, -1, sentences.shape[2]))
