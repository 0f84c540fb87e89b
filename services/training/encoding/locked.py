"""Trains an image encoder for a text encoder that stays as it is: LiT turned round (Zhai et al. 2022,
arXiv:2111.07991)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.classification.model import ImageEncoder
from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.encoding.batches import EncoderBatches
from services.training.encoding.objectives import Objectives
from services.training.loop import cosine_schedule
from services.training.muon import Muon, is_matrix
from services.training.optimisation import take_step

PEAK_LEARNING_RATE = 1.5e-3
PRETRAINED_LEARNING_RATE = 6e-4
"""Of stages that know something already."""
EMA_DECAY = 0.998


class ImageTrainer:
    """One step: pictures held to their `Objectives` with the vectors that captions have.

    pretrained: the encoder's stages know something. Then maps at 1/2 and 1/4 of the side stay what they are: edges are
    edges, and they are half of a step's time.

    Tokens of scenes are also held to the directions of those of the encoder `before`, so that a caption decoder that
    reads those need not begin anew.
    """

    def __init__(
        self, image: ImageEncoder, before: ImageEncoder, text: TextEncoder, batches: EncoderBatches,
        objectives: Objectives, *, pretrained: bool,
    ) -> None:  # fmt: skip
        self.image, self._before, self._text = image, before.eval(), text.eval()
        self._batches, self._objectives = batches, objectives
        self.pictures_a_step = batches.size
        self.generators: Mapping[str, random.Random] = batches.generators
        self.counts: dict[str, int] = {}
        self._frozen = (image.stem, image.stages[0]) if pretrained else ()
        for part in self._frozen:
            part.requires_grad_(False)
        self.average = MovingAverage(image, decay=EMA_DECAY)
        heads = objectives.heads
        self.modules: Mapping[str, nn.Module] = {"live": image, "average": self.average, "heads": heads}
        self._parameters = [one for one in (*image.parameters(), *heads.parameters()) if one.requires_grad]
        known = [one for one in image.stages.parameters() if one.requires_grad] if pretrained else []
        # Rows of a table and layers that are dropped are no matrices to Muon.
        not_muon = {id(one) for one in (*known, image.concepts, *heads.parameters())}
        matrices = [one for one in self._parameters if is_matrix(one) and id(one) not in not_muon]
        taken = {id(one) for one in (*known, *matrices)}
        others = [one for one in self._parameters if id(one) not in taken]
        adamw = partial(torch.optim.AdamW, betas=(0.9, 0.98), fused=True)
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": adamw(others, weight_decay=0.0),
            **({"pretrained": adamw(known, weight_decay=0.01)} if pretrained else {}),
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        batch = self._batches.draw()
        few = len(batch.pictograms.concept)
        for part in self._frozen:
            part.eval()  # batch norm's statistics stay too
        with torch.autocast(batch.views.device.type, dtype=torch.bfloat16):
            encoded = self.image(batch.views)
            with torch.no_grad():
                texts = self._text(batch.tokens, batch.mask)
                before = self._before(batch.views[few:]).tokens
        losses = self._objectives.losses(batch, encoded, texts)
        alike = functional.cosine_similarity(encoded.tokens[few:].float(), before.float(), dim=-1)
        losses["tokens"] = (1 - alike).mean()
        peaks = dict.fromkeys(self.optimisers, PEAK_LEARNING_RATE) | {"pretrained": PRETRAINED_LEARNING_RATE}
        rates = {name: peak * cosine_schedule(share) for name, peak in peaks.items()}
        detached = take_step(losses, self.optimisers, self._parameters, rate=rates, clip=2.0)
        self.average.follow(self.image)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into the encoder."""
        self.image.load_state_dict(self.average.mean.state_dict())
