"""The encoder that both teachers are: BERT (Devlin et al. 2018, arXiv:1810.04805), mean-pooled to a unit vector.

Post-norm blocks, learned positions, exact GELU; the mean of all tokens as in Sentence-BERT (Reimers and Gurevych 2019,
arXiv:1908.10084). Names of parameters are short; the readers of weights translate to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class BertShape:
    """The sizes that weights have."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    hidden: int
    """Width inside the MLP."""
    positions: int
    """Longest text in tokens, with the two that frame it."""
    norm_epsilon: float


class BertBlock(nn.Module):
    """Self-attention and an MLP, each added and then normalised."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.width, shape.width)
        self.key = nn.Linear(shape.width, shape.width)
        self.value = nn.Linear(shape.width, shape.width)
        self.attention_out = nn.Linear(shape.width, shape.width)
        self.attention_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.mlp_in = nn.Linear(shape.width, shape.hidden)
        self.mlp_out = nn.Linear(shape.hidden, shape.width)
        self.mlp_norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        query, key, value = (
            linear(hidden).view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, L, D)
            for linear in (self.query, self.key, self.value)
        )
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        attended = self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        hidden = self.attention_norm(hidden + attended)
        return self.mlp_norm(hidden + self.mlp_out(functional.gelu(self.mlp_in(hidden))))  # type: ignore[no-any-return]


class BertEncoder(nn.Module):
    """Token ids to unit vectors."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.shape = shape
        self.words = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.positions, shape.width)
        self.segment = nn.Parameter(torch.zeros(shape.width))  # one segment only: the first of BERT's two
        self.norm = nn.LayerNorm(shape.width, eps=shape.norm_epsilon)
        self.blocks = nn.ModuleList(BertBlock(shape) for _ in range(shape.layers))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) token ids and (B, L) true where a token is, at least one a row -> (B, W) float32 of unit norm."""
        hidden = self.norm(self.words(tokens) + self.positions.weight[: tokens.shape[1]] + self.segment)  # (B, L, W)
        for block in self.blocks:
            hidden = block(hidden, mask)
        weight = mask[:, :, None].float()
        mean = (hidden.float() * weight).sum(dim=1) / weight.sum(dim=1)
        return functional.normalize(mean, dim=-1)
