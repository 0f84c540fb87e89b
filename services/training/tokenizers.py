"""Trains the byte-level BPE tokenizers: every text in every language has tokens, so none is unknown."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PADDING = "<pad>"
MEASURES = "个件份列副匹双只台团坨块头家座张弯扇把摞支本朵束条杯枚架根桶棵滴片碗罐艘轮辆道部面顶颗串叠位名所"
CHINESE_WORDS = f"[一两二三四五六七八九十][{MEASURES}]|正在|[的和在有]"
"""Counts and function words, which stand between what can be shown: Chinese has no spaces to tell."""


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocabulary: int,
    lower_case: bool,
    special: tuple[str, ...] = (),
    words_apart: bool = False,
) -> Tokenizer:
    """A byte-level BPE over `texts` of at most `vocabulary` tokens, at least 257; id 0 is padding, then `special`.

    words_apart: no token reaches over one of CHINESE_WORDS. Else one token is "and a red mushroom" where training
    captions say so, a decoder learns a word anew in each of them, and what they never said together it has hardly ever
    said at all.
    """
    tokenizer = Tokenizer(models.BPE())
    steps: list[normalizers.Normalizer] = [normalizers.NFKC(), normalizers.Strip()]
    if lower_case:
        steps.append(normalizers.Lowercase())
    splitting: pre_tokenizers.PreTokenizer = pre_tokenizers.ByteLevel(add_prefix_space=not words_apart)
    if words_apart:
        # The space before the first word is the normaliser's: ByteLevel would put one before every part.
        steps.append(normalizers.Prepend(" "))
        words = pre_tokenizers.Split(Regex(CHINESE_WORDS), "isolated")
        splitting = pre_tokenizers.Sequence([words, splitting])
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Sequence(steps), splitting
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PADDING, *special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def vectors_of_new_tokens(vectors: Tensor, old: Tokenizer, new: Tokenizer) -> Tensor:
    """(V, W), a row for each token of `old` -> (V', W), first rows for those of `new`.

    A token that both have keeps its row; another one begins with the mean of those that spelt it (Gee et al. 2022,
    Fast Vocabulary Transfer, arXiv:2402.09977). Both know every byte, so that some always did.
    """
    rows = torch.empty(new.get_vocab_size(), vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    for token, index in new.get_vocab().items():
        same = old.token_to_id(token)
        spelt = [piece.id for piece in old.model.tokenize(token)] if same is None else [same]
        rows[index] = vectors[spelt].mean(dim=0)
    return rows
