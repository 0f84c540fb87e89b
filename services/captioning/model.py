"""The caption decoder: a picture's tokens and vector to a sentence.

Pre-norm transformer decoder (Vaswani et al. 2017): causal self-attention over the words so far, cross-attention to the
picture. The language is the start token.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.captioning.config import END, PADDING, CaptionerConfig


class Attention(nn.Module):
    """Multi-head attention of one sequence to another, or, causally, to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, hidden: Tensor, source: Tensor, *, causal: bool) -> Tensor:
        batch, length, width = hidden.shape
        query = self.query(hidden).view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, L, D)
        key, value = self.key_value(source).view(batch, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
        return self.out(attended.transpose(1, 2).reshape(batch, length, width))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Self-attention, cross-attention and a GELU MLP, each behind a layer norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_norm, self.cross_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.self_attention = Attention(width, heads)
        self.cross_attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, hidden: Tensor, memory: Tensor) -> Tensor:
        normed = self.self_norm(hidden)
        hidden = hidden + self.self_attention(normed, normed, causal=True)
        hidden = hidden + self.cross_attention(self.cross_norm(hidden), memory, causal=False)
        return hidden + self.mlp(self.mlp_norm(hidden))  # type: ignore[no-any-return]


class Captioner(nn.Module):
    """Picture encodings and the words so far to scores of the next word."""

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = config
        self.from_tokens = nn.Linear(config.token_width, config.width)
        self.from_vector = nn.Linear(config.space_width, config.width)
        self.memory_position = nn.Parameter(torch.zeros(config.memory_tokens + 1, config.width))
        self.memory_norm = nn.LayerNorm(config.width)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Parameter(torch.zeros(config.longest, config.width))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def remember(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        """(B, T, W') tokens and (B, V) unit vectors of pictures -> (B, T + 1, W), what the decoder attends to."""
        scaled = vectors * vectors.shape[1] ** 0.5
        memory = torch.cat((self.from_tokens(tokens), self.from_vector(scaled)[:, None]), dim=1)
        return self.memory_norm(memory + self.memory_position)  # type: ignore[no-any-return]

    def forward(self, words: Tensor, memory: Tensor) -> Tensor:
        """(B, L) token ids from the start token on, (B, T + 1, W) -> (B, L, vocabulary) logits of the next token."""
        hidden = self.embedding(words) + self.position[: words.shape[1]]  # (B, L, W)
        for block in self.blocks:
            hidden = block(hidden, memory)
        return functional.linear(self.norm(hidden), self.embedding.weight).float()  # (B, L, vocabulary)

    def write(self, tokens: Tensor, vectors: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest caption, word by word (greedy).

        tokens (B, T, W'), vectors (B, V), start (B,) start tokens -> token ids (B, L <= longest) after the start token,
        padding after the end; and (B,) mean natural-log probability a token, the end token included.
        """
        memory = self.remember(tokens, vectors)
        words = start[:, None]  # (B, 1)
        total = torch.zeros(len(start), device=start.device)
        count = torch.zeros_like(total)
        running = torch.ones_like(start, dtype=torch.bool)
        for _ in range(self.config.longest - 1):
            logits = self(words, memory)[:, -1]  # (B, vocabulary)
            best, word = functional.log_softmax(logits, dim=-1).max(dim=-1)
            total, count = total + best.where(running, 0), count + running
            words = torch.cat((words, word.where(running, PADDING)[:, None]), dim=1)
            running = running & (word != END)
            if not running.any():
                break
        return words[:, 1:], total / count
