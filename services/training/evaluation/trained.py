"""Measures trained models on a pack: numbers for model.toml and the model cards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from services.captioning.config import END, PADDING, start_token
from services.captioning.model import Captioner
from services.classification.model import EncodedImages, ImageEncoder
from services.generation.model import Generator
from services.text.model import TextEncoder
from services.training.data.captions import clean_caption, label
from services.training.data.pack import Pack
from services.training.generation import style_noise
from services.training.losses import multiscale_l1
from services.training.samples import tokenize
from services.training.zero_shot import calibrated_scale

LANGUAGES = ("en", "zh")
CHUNK = 128

Metrics = dict[str, float]


@torch.inference_mode()
def evaluate_encoders(text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, pack: Pack) -> Metrics:
    """Top-1 of the head, and recall at 1 of clean captions against pictures and back, on trained and held-out rows."""
    encoded = encode_pictures(image, pack.pixels)
    metrics = _split("top1", encoded.logits.argmax(dim=1).cpu().numpy() == pack.concept, pack.train)
    for language in LANGUAGES:
        vectors = encode_captions(text, tokenizer, [clean_caption(concept, language) for concept in pack.concepts])
        similarity = encoded.vectors @ vectors.T  # (N, C)
        right = similarity.argmax(dim=1).cpu().numpy() == pack.concept
        metrics |= _split(f"picture_to_text_r1_{language}", right, pack.train)
        nearest = pack.concept[similarity.argmax(dim=0).cpu().numpy()]
        metrics[f"text_to_picture_r1_{language}"] = _mean(nearest == np.arange(len(pack.concepts)))
        own = image.score(vectors).argmax(dim=1).cpu().numpy()
        metrics[f"text_top1_{language}"] = _mean(own == np.arange(len(pack.concepts)))
    return metrics


@torch.inference_mode()
def evaluate_zero_shot(
    text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, pack: Pack
) -> tuple[Metrics, float]:
    """Top-1 over the plain names of all concepts, and the scale that suits the held-out rows (or all, if none is)."""
    encoded = encode_pictures(image, pack.pixels)
    names = [encode_captions(text, tokenizer, [label(one, lang) for one in pack.concepts]) for lang in LANGUAGES]
    metrics: Metrics = {}
    for language, vectors in zip(LANGUAGES, names, strict=True):
        right = (encoded.vectors @ vectors.T).argmax(dim=1).cpu().numpy() == pack.concept
        metrics |= _split(f"zero_shot_top1_{language}", right, pack.train)
    rows = torch.from_numpy(~pack.train if not pack.train.all() else pack.train)
    scale = calibrated_scale(encoded.vectors.cpu()[rows], torch.stack(names), torch.from_numpy(pack.concept)[rows])
    return metrics, scale


@torch.inference_mode()
def evaluate_captioner(captioner: Captioner, image: ImageEncoder, tokenizer: Tokenizer, pack: Pack) -> Metrics:
    """Share of pictures whose greedy caption is exactly the concept's clean caption."""
    encoded = encode_pictures(image, pack.pixels)
    metrics: Metrics = {}
    for language in LANGUAGES:
        start = torch.tensor([tokenizer.token_to_id(start_token(language))] * CHUNK, device=encoded.vectors.device)
        written: list[str] = []
        for tokens, vectors in zip(encoded.tokens.split(CHUNK), encoded.vectors.split(CHUNK), strict=True):
            words, _ = captioner.write(tokens, vectors, start[: len(tokens)])
            written += [
                tokenizer.decode([word for word in row if word not in (PADDING, END)]).strip() for row in words.tolist()
            ]
        wanted = [clean_caption(pack.concepts[index], language) for index in pack.concept]
        right = np.array([one == other for one, other in zip(written, wanted, strict=True)])
        metrics |= _split(f"caption_exact_{language}", right, pack.train)
    return metrics


@torch.inference_mode()
def evaluate_generator(
    generator: Generator, text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, pack: Pack, *, seed: int
) -> Metrics:
    """How often the image encoder names a painted picture right, and how far it is from the drawing it should be.

    The image encoder shares training data with the generator: it is its own classifier, not an independent judge.
    """
    torch.manual_seed(seed)
    config = generator.config
    device = next(generator.parameters()).device
    texts = [
        encode_captions(text, tokenizer, [clean_caption(one, lang) for one in pack.concepts]) for lang in LANGUAGES
    ]
    distance, own_name = [], []
    for chunk in torch.arange(len(pack.concept)).split(CHUNK):
        concept = torch.from_numpy(pack.concept)[chunk].to(device)
        noise = style_noise(
            torch.from_numpy(pack.style)[chunk].to(device), count=config.styles, width=config.noise_width
        )
        target = to_input(torch.from_numpy(pack.pixels[chunk]).to(device), config.pixels)
        painted = generator.paint(texts[0][concept], noise).float().clamp(-1, 1)
        distance += [
            multiscale_l1(one[None], other[None], (1,)).item() for one, other in zip(painted, target, strict=True)
        ]
        own_name.append((image(painted).logits.argmax(dim=1) == concept).cpu())
    metrics = _split("own_classifier_top1", torch.cat(own_name).numpy(), pack.train)
    metrics |= _split("l1", np.array(distance) / 2, pack.train)  # of the full range of 1
    for language, vectors in zip(LANGUAGES, texts, strict=True):
        named = []
        for index, rows in zip(torch.arange(len(vectors)).split(CHUNK), vectors.split(CHUNK), strict=True):
            noise = torch.randn(len(rows), config.noise_width, device=device)
            named.append(image(generator(rows, noise)).logits.argmax(dim=1).cpu() == index)
        metrics[f"own_classifier_top1_random_seed_{language}"] = _mean(torch.cat(named).numpy())
    return metrics


def encode_pictures(image: ImageEncoder, pixels: NDArray[np.uint8]) -> EncodedImages:
    """(N, H, W, 3) RGB -> encodings of all N."""
    device = image.concepts.device
    parts = [image(to_input(torch.from_numpy(part).to(device), image.pixels)) for part in _chunks(pixels)]
    return EncodedImages(
        vectors=torch.cat([part.vectors for part in parts]),
        tokens=torch.cat([part.tokens for part in parts]),
        logits=torch.cat([part.logits for part in parts]),
    )


def to_input(pixels: Tensor, side: int) -> Tensor:
    """(N, H, W, 3) in 0 to 255 -> (N, 3, side, side) in [-1, 1], averaged down."""
    return functional.avg_pool2d(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, pixels.shape[1] // side)


def encode_captions(text: TextEncoder, tokenizer: Tokenizer, captions: Sequence[str]) -> Tensor:
    """(N, V) of unit norm."""
    tokens, mask = tokenize(tokenizer, list(captions))
    device = text.embedding.weight.device
    return text(tokens.to(device), mask.to(device))  # type: ignore[no-any-return]


def _chunks(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    return [pixels[first : first + CHUNK] for first in range(0, len(pixels), CHUNK)]


def _split(name: str, values: NDArray[np.generic], train: NDArray[np.bool_]) -> Metrics:
    metrics = {f"{name}_trained": _mean(values[train])}
    if not train.all():
        metrics[f"{name}_held_out"] = _mean(values[~train])
    return metrics


def _mean(values: NDArray[np.generic]) -> float:
    return round(float(np.mean(values.astype(np.float64))), 4)
