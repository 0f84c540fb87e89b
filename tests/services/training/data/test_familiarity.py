"""A held-out concept is familiar when training captions hold every word of its name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.training.data.familiarity import familiar_concepts
from services.training.data.pack import SPLITS
from services.training.tiny import tiny_pack


def test_familiar_are_held_out_concepts_made_of_trained_words() -> None:
    pack = tiny_pack()  # cat, dog, house, apple
    cat, dog, house, apple = pack.concepts
    words = (
        replace(cat, en_synonyms=("feline house",)),
        replace(dog, en="cat house", zh="猫房"),
        replace(house, en="dog house", zh="狗房子"),
        replace(apple, zh="房子"),
    )
    held_out = np.isin(pack.concept, (1, 2))
    split = np.where(held_out, SPLITS.index("test_concept"), 0).astype(np.uint8)
    pack = replace(pack, concepts=words, split=split)
    assert familiar_concepts(pack, "en").tolist() == [False, True, False, False]  # no trained name says dog
    assert familiar_concepts(pack, "zh").tolist() == [False, True, False, False]  # nor 狗
