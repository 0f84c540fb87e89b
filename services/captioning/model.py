"""The caption decoder: a picture's tokens and vector to a sentence.

Pre-norm transformer decoder (Vaswani et al. 2017): causal self-attention over the words so far, cross-attention to the
picture. The language is the start token.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.captioning.config import END, PADDING, CaptionerConfig

KeyValue = tuple[Tensor, Tensor]
"""Keys and values of the attention heads, each (B, H, S, D)."""


class Attention(nn.Module):
    """Multi-head attention of one sequence to another, or, causally, to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def project(self, source: Tensor) -> KeyValue:
        """(B, S, W) -> keys and values, each (B, H, S, D)."""
        batch, _, width = source.shape
        key, value = self.key_value(source).view(batch, -1, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return key, value

    def attend(self, hidden: Tensor, source: KeyValue, *, causal: bool) -> Tensor:
        """(B, L, W) to what `project` made."""
        batch, length, width = hidden.shape
        query = self.query(hidden).view(batch, length, self.heads, -1).transpose(1, 2)  # (B, H, L, D)
        attended = functional.scaled_dot_product_attention(query, *source, is_causal=causal)
        return self.out(attended.transpose(1, 2).reshape(batch, length, width))  # type: ignore[no-any-return]

    def forward(self, hidden: Tensor, source: Tensor, *, causal: bool) -> Tensor:
        return self.attend(hidden, self.project(source), causal=causal)


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

    def step(self, hidden: Tensor, past: KeyValue | None, picture: KeyValue) -> tuple[Tensor, KeyValue]:
        """One more word of K sentences a picture, for those before it as `past` keeps them: equal to `forward`.

        hidden (B, K, W), past (B K, H, L, D) each, picture (B, H, T + 1, D) each -> the same with L + 1.
        """
        rows = self.self_norm(hidden).flatten(0, 1)[:, None]  # (B K, 1, W)
        key, value = self.self_attention.project(rows)
        if past is not None:
            key, value = torch.cat((past[0], key), dim=2), torch.cat((past[1], value), dim=2)
        hidden = hidden + self.self_attention.attend(rows, (key, value), causal=False).view_as(hidden)
        hidden = hidden + self.cross_attention.attend(self.cross_norm(hidden), picture, causal=False)
        return hidden + self.mlp(self.mlp_norm(hidden)), (key, value)


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

    def look(self, memory: Tensor) -> list[KeyValue]:
        """(B, T + 1, W) -> what each block's `step` attends to."""
        return [cast(Block, block).cross_attention.project(memory) for block in self.blocks]

    def step(
        self, words: Tensor, place: int, past: list[KeyValue], pictures: list[KeyValue]
    ) -> tuple[Tensor, list[KeyValue]]:
        """(B, K) the newest words of K sentences a picture, at `place` from 0 -> (B, K, vocabulary) logits of the next.

        `past` is what the last step returned, empty at first; its rows are B K sentences.
        """
        hidden = self.embedding(words) + self.position[place]  # (B, K, W)
        kept = []
        for index, (block, picture) in enumerate(zip(self.blocks, pictures, strict=True)):
            hidden, key_value = cast(Block, block).step(hidden, past[index] if past else None, picture)
            kept.append(key_value)
        return functional.linear(self.norm(hidden), self.embedding.weight).float(), kept

    def write(
        self, tokens: Tensor, vectors: Tensor, start: Tensor, *, stop_early: bool = True
    ) -> tuple[Tensor, Tensor]:
        """The likeliest caption, word by word (greedy).

        tokens (B, T, W'), vectors (B, V), start (B,) start tokens -> token ids (B, L <= longest) after the start token,
        padding after the end; and (B,) mean natural-log probability a token, the end token included. Without
        `stop_early` L is `longest` - 1, however soon all have ended.
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
            if stop_early and not running.any():
                break
        return words[:, 1:], total / count
