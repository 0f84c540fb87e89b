"""Trains the text and the image encoder together, so that words and pictures of one thing share a point."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.classification.model import ImageEncoder
from services.text.model import TextEncoder
from services.training.data.augmentation import random_views
from services.training.data.captions import clean_caption, random_caption
from services.training.data.pack import Pack
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.losses import contrastive_loss
from services.training.samples import Sampler
from services.training.tokenizers import train_tokenizer

VOCABULARY = 4000
CAPTIONS_A_CONCEPT = 120
LABEL_SMOOTHING = 0.05
PEAK_LEARNING_RATE = 1.5e-3


def text_tokenizer(pack: Pack, *, seed: int, vocabulary: int = VOCABULARY) -> Tokenizer:
    """The text encoder's tokenizer, trained on random captions of every concept."""
    rng = random.Random(seed)
    texts = [
        random_caption(concept, rng.choice(pack.styles), rng).text
        for concept in pack.concepts
        for _ in range(CAPTIONS_A_CONCEPT)
    ]
    texts += [clean_caption(concept, language) for concept in pack.concepts for language in ("en", "zh")]
    return train_tokenizer(texts, vocabulary=vocabulary, lower_case=True)


class EncoderTrainer:
    """One step: contrast captions with pictures, and name concept and style from either side.

    Captions and pictures are scored against the same concept prototypes, which pulls both sides to one point early on;
    the style head keeps the style readable for the generator. The heads for style are dropped after training.
    """

    def __init__(
        self, text: TextEncoder, image: ImageEncoder, sampler: Sampler, *, styles: int, space_width: int, batch: int
    ) -> None:
        self.text, self.image, self._sampler, self.pictures_a_step = text, image, sampler, batch
        self.heads = nn.ModuleDict(
            {"picture_style": nn.Linear(space_width, styles), "text_style": nn.Linear(space_width, styles + 1)}
        ).to(next(text.parameters()).device)
        self._unnamed = styles
        self.generators: Mapping[str, random.Random] = {"sampler": sampler.generator}
        self.counts: dict[str, int] = {}
        self.modules: Mapping[str, nn.Module] = {"text": text, "image": image, "heads": self.heads}
        parameters = [parameter for module in self.modules.values() for parameter in module.parameters()]
        decayed = [parameter for parameter in parameters if parameter.ndim > 1]
        plain = [parameter for parameter in parameters if parameter.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
        self.optimisers: Mapping[str, Optimizer] = {"adamw": torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)}

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        batch = self._sampler.draw(self.pictures_a_step)
        device = batch.pictures.device
        views = random_views(batch.pictures, batch.alpha, batch.sided, self.image.pixels).to(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            encoded = self.image(views)
            texts = self.text(batch.tokens, batch.mask)
        same_concept = batch.concept[:, None] == batch.concept[None, :]
        same_style = batch.style[:, None] == batch.style[None, :]
        matches = same_concept & (same_style | ~batch.names_style[:, None])
        text_style = torch.where(batch.names_style, batch.style, self._unnamed)
        losses = {
            "contrast": contrastive_loss(texts, encoded.vectors, matches, self.image.log_scale.exp()),
            "picture": functional.cross_entropy(encoded.logits, batch.concept, label_smoothing=LABEL_SMOOTHING),
            "text": functional.cross_entropy(self.image.score(texts), batch.concept, label_smoothing=LABEL_SMOOTHING),
            "style": functional.cross_entropy(10 * self.heads["picture_style"](encoded.vectors), batch.style)
            + functional.cross_entropy(10 * self.heads["text_style"](texts), text_style),
        }
        loss = losses["contrast"] + losses["picture"] + losses["text"] + 0.2 * losses["style"]
        optimiser = self.optimisers["adamw"]
        set_learning_rate(optimiser, PEAK_LEARNING_RATE * cosine_schedule(share))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for module in self.modules.values() for p in module.parameters()], 1.0)
        optimiser.step()
        return losses
