"""Layers of a text encoder that see no farther than a word, put into one that was trained without them."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder, masked_mean

UNDECODED = "\ufffd"
"""What a piece of a character decodes to."""
TEMPERATURE = 0.07
APART_WEIGHT = 0.2


def begins_word(tokenizer: Tokenizer) -> Tensor:
    """(T,) of each token whether it begins a word: with a space, or as punctuation or another sign. Chinese words begin
    with neither, so that a clause is one word."""
    begins = torch.zeros(tokenizer.get_vocab_size(), dtype=torch.bool)
    for index in range(len(begins)):
        first = tokenizer.decode([index])[:1]
        begins[index] = first == " " or (first not in ("", UNDECODED) and unicodedata.category(first)[0] in "PS")
    return begins


def confined(config: TextEncoderConfig) -> TextEncoderConfig:
    """The shape whose first half of the layers sees no farther than a word; one that has such layers stays, as does an
    LSTM, which can have none."""
    if config.word_layers or config.kind != "transformer":
        return config
    return replace(config, word_layers=config.layers // 2)


def with_word_layers(text: TextEncoder, shape: TextEncoderConfig, tokenizer: Tokenizer) -> TextEncoder:
    """The weights of `text` in an encoder of `shape`, its own as `confined` has it."""
    encoder = TextEncoder(shape).to(text.embedding.weight.device)
    begins = {"begins_word": begins_word(tokenizer)} if shape.word_layers else {}
    encoder.load_state_dict(begins | text.state_dict())
    return encoder


def mean_word_state(text: TextEncoder, tokens: Tensor, mask: Tensor) -> Tensor:
    """(B, W) of unit norm: what the word layers make of a text, its tokens' mean."""
    states = text.word_states(tokens, mask).float()
    return functional.normalize(masked_mean(functional.layer_norm(states, states.shape[-1:]), mask), dim=1)


def word_state_loss(states: Tensor, names: Tensor, shares: Tensor) -> Tensor:
    """How far words' states are from those of the names they stand for, and from being nearest to the likeliest.

    states (B, W) and names (N, W) of unit norm, shares (B, N) of each name in what a word means -> scalar.
    """
    meant = functional.normalize(shares @ names, dim=1)
    distance = 1 - (states * meant).sum(dim=1).mean()
    apart = functional.cross_entropy(states @ names.T / TEMPERATURE, shares.argmax(dim=1))
    return distance + APART_WEIGHT * apart
