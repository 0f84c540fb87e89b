"""The text encoder: tokens to a point of the joint space.

Pre-norm transformer (Vaswani et al. 2017; Xiong et al. 2020) with rotary positions (Su et al. 2021,
arXiv:2104.09864), which have no longest length: a text is never cut. Mean of all tokens, then a projection. In place
of the transformer's its layers may be bidirectional LSTMs (Graves and Schmidhuber 2005) with the same shortcuts.

The first layers may see no farther than a word: its state after them is the same alone and in any sentence, so that a
word that was only ever learnt alone is understood among others, too.
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

    def forward(self, hidden: Tensor, seen: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(B, L, W), and what each place sees: (B, 1, L or 1, L)."""
        batch, length, width = hidden.shape
        qkv = self.qkv(self.attention_norm(hidden))  # (B, L, 3W)
        query, key, value = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each (B, H, L, D)
        attended = functional.scaled_dot_product_attention(
            rotate(query, cos, sin), rotate(key, cos, sin), value, attn_mask=seen
        )
        hidden = hidden + self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        return hidden + self.mlp(self.mlp_norm(hidden))  # type: ignore[no-any-return]


def backwards(mask: Tensor) -> Tensor:
    """(B, L) true where a token is, from the first place on -> (B, L) places that turn each text round, and back.

    The padding stays where it is, behind: what comes before it never sees it.
    """
    place = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - place, place)


class LstmBlock(nn.Module):
    """Two LSTMs behind a layer norm, one for each direction, joined by a linear layer.

    No packed sequences, whose lengths a CPU has to know: the shape is all that decides what runs.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.forth = nn.LSTM(width, width, batch_first=True)
        self.back = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(2 * width, width)

    def forward(self, hidden: Tensor, order: Tensor) -> Tensor:
        """(B, L, W), and (B, L) of `backwards`."""
        index = order[:, :, None].expand(hidden.shape)
        normed = self.norm(hidden)
        forth, _ = self.forth(normed)
        back, _ = self.back(normed.gather(1, index))
        return hidden + self.out(torch.cat((forth, back.gather(1, index)), dim=2))  # type: ignore[no-any-return]


def seen_in_word(word: Tensor, mask: Tensor) -> Tensor:
    """(B, L) numbers of words and (B, L) true where a token is -> (B, L, L) true where a place sees another one.

    A place without a token sees itself: a softmax over nothing is not a number.
    """
    same = (word[:, :, None] == word[:, None, :]) & mask[:, None, :]
    return same | torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """(B, L, W) and (B, L) true where a token is -> (B, W) float32."""
    weight = mask[:, :, None].float()
    return (states.float() * weight).sum(dim=1) / weight.sum(dim=1)


class TextEncoder(nn.Module):
    """Token ids to unit vectors."""

    begins_word: Tensor

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.kind, self.word_layers = config.kind, config.word_layers
        self.head_width = config.width // config.heads
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        if config.word_layers:  # which tokens do: the tokenizer's to know, and so the weights' to say
            self.register_buffer("begins_word", torch.zeros(config.vocabulary, dtype=torch.bool))
        self.blocks = nn.ModuleList(
            LstmBlock(config.width) if config.kind == "lstm" else Block(config.width, config.heads)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.projection = nn.Linear(config.width, config.space_width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Texts to points of the joint space: (B, V) float32 of unit norm.

        tokens (B, L), mask (B, L) true where a token is: from the first place on, at least one a row.
        """
        hidden = self._states(tokens, mask, layers=len(self.blocks))
        mean = masked_mean(self.norm(hidden), mask)  # (B, W)
        return functional.normalize(self.projection(mean.to(hidden.dtype)).float(), dim=-1)  # (B, V)

    def word_states(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(B, L, W) after the layers that see no farther than a word; of tokens alone where there are none."""
        return self._states(tokens, mask, layers=self.word_layers)

    def _states(self, tokens: Tensor, mask: Tensor, *, layers: int) -> Tensor:
        """(B, L, W) after the first `layers`."""
        within: tuple[Tensor, ...]
        whole: tuple[Tensor, ...]
        if self.kind == "lstm":
            within = whole = (backwards(mask),)
        else:
            angles = rotary_angles(tokens.shape[1], self.head_width, tokens.device)
            within = whole = (mask[:, None, None, :], *angles)
            if self.word_layers:
                word = self.begins_word[tokens].long().cumsum(dim=1)
                within = (seen_in_word(word, mask)[:, None], *angles)
        hidden = self.embedding(tokens)
        for number, block in enumerate(self.blocks[:layers]):
            hidden = block(hidden, *(within if number < self.word_layers else whole))
        return hidden  # type: ignore[no-any-return]
