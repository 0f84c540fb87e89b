"""The row of each concept in the image encoder's head, found in one step from vectors of its training pictures.

Rows that were trained by cross-entropy know how often each concept was drawn, and hold it for likelier. Here it is
Fisher's linear discriminant (1936) of equal priors instead, as unit rows: the mean of a concept, every family of styles
counting the same, turned away from the directions in which pictures of one concept differ anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from services.classification.model import ImageEncoder
from services.training.data.balance import balance
from services.training.data.pack import Pack
from services.training.data.pictogram_views import pictogram_views, served_pictures

VIEW_ROUNDS = 4
"""Random views of each picture, beside it as it is."""
SHRINKAGE = 1.0
"""Towards the same scatter in all directions, in means of it: ten pictures a concept tell little of 256 directions."""


def fit_concepts(image: ImageEncoder, pack: Pack) -> None:
    """Replaces the rows of all concepts that `pack` has training pictures of; other weights stay the same bits.

    The encoder is in evaluation mode. Rows of other concepts stay: training has pushed them away from every picture.
    """
    rows, device = np.flatnonzero(pack.train), image.concepts.device
    shares = torch.from_numpy(balance(pack)[rows]).float().to(device)
    concept = torch.from_numpy(pack.concept[rows]).to(device)
    views = [served_pictures(pack.pixels[rows], image.pixels, device)]
    views += [pictogram_views(pack, rows, image.pixels, device) for _ in range(VIEW_ROUNDS)]
    vectors, known = torch.stack([_vectors(image, each) for each in views]), concept.unique()
    with torch.no_grad():
        image.concepts[known] = directions(vectors, concept, shares, len(image.concepts))[known]


def directions(views: Tensor, concept: Tensor, shares: Tensor, concepts: int) -> Tensor:
    """(R, N, V) views of N pictures, (N,) their concepts, (N,) shares that sum to 1 for each -> (concepts, V) of unit
    norm; zero for a concept without pictures."""
    rounds, _, width = views.shape
    means = torch.zeros(concepts, width, device=views.device)
    means.index_add_(0, concept, views.mean(dim=0) * shares[:, None])
    apart = (views - means[concept]).flatten(0, 1)
    weights = (shares / shares.sum()).repeat(rounds) / rounds
    scatter = (apart * weights[:, None]).T @ apart
    evenly = SHRINKAGE * scatter.trace() / width + torch.finfo(scatter.dtype).tiny
    shrunk = scatter + evenly * torch.eye(width, device=views.device)
    return functional.normalize(torch.linalg.solve(shrunk, means.T).T, dim=1)


@torch.inference_mode()
def _vectors(image: ImageEncoder, pictures: Iterable[Tensor]) -> Tensor:
    """(N, V) of unit norm."""
    with torch.autocast(image.concepts.device.type, dtype=torch.bfloat16):
        return torch.cat([image(one.contiguous(memory_format=torch.channels_last)).vectors for one in pictures])
