"""How much each picture counts where every concept is to count the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from services.training.data.pack import Pack
from services.training.data.sources import SOURCES

_FAMILY = {source.style: source.family for source in SOURCES}


def balance(pack: Pack) -> NDArray[np.float64]:
    """(N,) shares that sum to 1 for each concept that is trained on: the same for each family of styles that drew it,
    and in a family for each picture. 0 where no training may look.

    How many sets drew a thing, and how often one of them drew it, says nothing of how often it will be asked for.
    """
    drawn = [
        (concept, _FAMILY[pack.styles[style]])
        for concept, style in zip(pack.concept.tolist(), pack.style.tolist(), strict=True)
    ]
    trained = [pair for pair, may in zip(drawn, pack.train.tolist(), strict=True) if may]
    pictures = Counter(trained)
    families = Counter(concept for concept, _ in pictures)
    shares = [
        1 / (families[pair[0]] * pictures[pair]) if may else 0.0
        for pair, may in zip(drawn, pack.train.tolist(), strict=True)
    ]
    return np.array(shares)
