"""Quick figures on validation data, for model.toml; `diptych evaluate` has those on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from services.captioning.config import END, PADDING, start_token
from services.captioning.model import Captioner
from services.classification.model import EncodedImages, ImageEncoder
from services.text.model import TextEncoder
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import SPLITS, Pack
from services.training.data.pictogram_views import CHUNK, served_pictures
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.truth import Scene
from services.training.samples import tokenize

Metrics = dict[str, float]


def validation_pictograms(image: ImageEncoder, pack: Pack) -> tuple[NDArray[np.int64], EncodedImages]:
    """The rows of the split `validation`, and what the encoder sees there."""
    rows = np.flatnonzero(pack.split == SPLITS.index("validation"))
    return rows, encode_pictures(image, pack.pixels[rows])


@torch.inference_mode()
def encoder_metrics(
    text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer,
    pictograms: EncodedImages, right: Tensor, seen: EncodedImages, scenes: Sequence[Scene],
) -> Metrics:  # fmt: skip
    """Top-1 of the concept; F1 of objects at one half; retrieval of scenes by their whole captions, both ways."""
    kinds = [{one.kind for one in scene.objects} for scene in scenes]
    present = torch.tensor([[kind in shown for kind in object_classes()] for shown in kinds])
    said = seen.heads["objects"].cpu() > 0
    metrics = {
        "validation_concept_top1": _mean(pictograms.logits.argmax(dim=1).cpu() == right),
        "validation_objects_f1": round(float(2 * (said & present).sum() / (said.sum() + present.sum())), 4),
    }
    own = torch.arange(len(scenes))
    for language in LANGUAGES:
        captions = [canonical_caption(scene, language).text for scene in scenes]
        similarity = (encode_captions(text, tokenizer, captions) @ seen.vectors.T).cpu()
        metrics[f"validation_text_to_scene_r1_{language}"] = _mean(similarity.argmax(dim=1) == own)
        metrics[f"validation_scene_to_text_r1_{language}"] = _mean(similarity.argmax(dim=0) == own)
    return metrics


@torch.inference_mode()
def exact_captions(
    captioner: Captioner, tokenizer: Tokenizer, seen: EncodedImages, wanted: Sequence[str], language: str
) -> float:
    """The share of pictures whose greedy caption is the very one that is wanted."""
    device = next(captioner.parameters()).device
    start = torch.tensor([tokenizer.token_to_id(start_token(language))] * CHUNK, device=device)
    parts = zip(seen.tokens.split(CHUNK), seen.vectors.split(CHUNK), strict=True)
    written = (captioner.write(tokens, vectors, start[: len(tokens)])[0].tolist() for tokens, vectors in parts)
    texts = [
        tokenizer.decode([word for word in row if word not in (PADDING, END)]).strip()
        for row in chain.from_iterable(written)
    ]
    return _mean(torch.tensor([one == other for one, other in zip(texts, wanted, strict=True)]))


@torch.inference_mode()
def encode_pictures(image: ImageEncoder, pixels: NDArray[np.uint8]) -> EncodedImages:
    """(N, H, W, 3) uint8 -> encodings of all N."""
    parts = [image(part) for part in served_pictures(pixels, image.pixels, image.concepts.device)]
    return EncodedImages(
        vectors=torch.cat([part.vectors for part in parts]),
        tokens=torch.cat([part.tokens for part in parts]),
        logits=torch.cat([part.logits for part in parts]),
        heads={name: torch.cat([part.heads[name] for part in parts]) for name in parts[0].heads},
    )


@torch.inference_mode()
def encode_captions(text: TextEncoder, tokenizer: Tokenizer, captions: Sequence[str]) -> Tensor:
    """(N, V) of unit norm."""
    device = text.embedding.weight.device
    parts = [captions[first : first + CHUNK] for first in range(0, len(captions), CHUNK)]
    tokens = (tokenize(tokenizer, list(part)) for part in parts)
    return torch.cat([text(ids.to(device), mask.to(device)) for ids, mask in tokens])


def _mean(right: Tensor) -> float:
    return round(float(right.float().mean()), 4)
