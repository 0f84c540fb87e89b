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
    trained = np.flatnonzero(pack.train)
    drawn = [(pack.concept[row], _FAMILY[pack.styles[pack.style[row]]]) for row in trained]
    pictures = Counter(drawn)
    families = Counter(concept for concept, _ in pictures)
    shares = np.zeros(len(pack.concept))
    shares[trained] = [1 / (families[pair[0]] * pictures[pair]) for pair in drawn]
    return shares
