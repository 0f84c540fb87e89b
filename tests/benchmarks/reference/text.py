"""T: a text encoder of 22 M parameters with seeded random weights; words in, unit vectors out. It knows no server.

Every text is TOKENS long to the model, padded or cut: each item is the same work whoever its batch-mates are, so that
a ratio of two servers' throughputs is one of servers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, VOCABULARY, TOKENS = 6, 384, 6, 30_000, 16
SEED = 20_241


class Layer(nn.Module):
    """Attention and a feed-forward network, normalised first."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, W), with (B, 1, 1, T) true where there is a word -> (B, T, W)."""
        rows, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(rows, tokens, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, T, W / H)
        x = x + self.out(attended.transpose(1, 2).reshape(rows, tokens, WIDTH))
        mixed: Tensor = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return mixed


class TextEncoder(nn.Module):
    """Words to the mean of what the last layer says about them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) with 0 for padding -> (B, W) float32 of unit norm."""
        mask = ids != 0
        x = self.words(ids) + self.places
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        weights = mask[:, :, None].to(x.dtype)
        return functional.normalize((self.norm(x) * weights).sum(1).float(), dim=1)


def load(precision: str, threads: int) -> Callable[[Sequence[str]], list[bytes]]:
    """The model in `fp32` or `bf16`, ready to run: texts of at least one word -> 384 float32 a text.

    Little-endian, of unit norm.
    """
    torch.set_num_threads(threads)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = TextEncoder().eval()
    model.to({"fp32": torch.float32, "bf16": torch.bfloat16}[precision])

    @torch.inference_mode()
    def run(texts: Sequence[str]) -> list[bytes]:
        vectors = model(torch.tensor([_ids(text) for text in texts])).numpy()
        return [vector.tobytes() for vector in vectors]

    return run


def _ids(text: str) -> list[int]:
    """The words by their hash, 1 to VOCABULARY - 1; a word's id needs no file and is the same in every process."""
    ids = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in text.lower().split()[:TOKENS]]
    return ids + [0] * (TOKENS - len(ids))
