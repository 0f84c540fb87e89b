"""The text encoder: tokens to a point of the joint space.

Pre-norm transformer (Vaswani et al. 2017; Xiong et al. 2020) with rotary positions (Su et al. 2021,
arXiv:2104.09864), which have no longest length: a text is never cut. Mean of all tokens, then a projection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.text.config import TextEncoderConfig

ROTARY_BASE = 10_000.0


def rotary_angles(length: int, head_width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines of every position, each (L, head_width / 2), equation 34 of RoFormer."""
    frequency = ROTARY_BASE ** (-torch.arange(0, head_width, 2, device=device).float() / head_width)
    angle = torch.arange(length, device=device).float()[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns each pair of coordinates of (B, H, L, D) by its position's angle."""
    first, second = heads.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(heads.dtype)


class Block(nn.Module):
    """Self-attention and a GELU MLP, each behind a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor, mask: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = hidden.shape
        qkv = self.qkv(self.attention_norm(hidden))  # (B, L, 3W)
        query, key, value = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
        attended = functional.scaled_dot_product_attention(
            rotate(query, cos, sin), rotate(key, cos, sin), value, attn_mask=mask[:, None, None, :]
        )
        hidden = hidden + self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        return hidden + self.mlp(self.mlp_norm(hidden))  # type: ignore[no-any-return]


class TextEncoder(nn.Module):
    """Token ids to unit vectors."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.head_width = config.width // config.heads
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.space_width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L) token ids and (B, L) true where a token is, at least one a row -> (B, V) float32 of unit norm."""
        cos, sin = rotary_angles(tokens.shape[1], self.head_width, tokens.device)
        hidden = self.embedding(tokens)  # (B, L, W)
        for block in self.blocks:
            hidden = block(hidden, mask, cos, sin)
        weight = mask[:, :, None].float()
        mean = (self.norm(hidden).float() * weight).sum(dim=1) / weight.sum(dim=1)  # (B, W)
        return functional.normalize(self.projection(mean.to(hidden.dtype)).float(), dim=-1)  # (B, V)
