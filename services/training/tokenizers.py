"""Trains the byte-level BPE tokenizers: every text in every language has tokens, so none is unknown."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PADDING = "<pad>"


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int, lower_case: bool, special: tuple[str, ...] = ()
) -> Tokenizer:
    """A byte-level BPE over `texts` of at most `vocabulary` tokens, at least 257; id 0 is padding, then `special`."""
    tokenizer = Tokenizer(models.BPE())
    steps: list[normalizers.Normalizer] = [normalizers.NFKC(), normalizers.Strip()]
    if lower_case:
        steps.append(normalizers.Lowercase())
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, *special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
