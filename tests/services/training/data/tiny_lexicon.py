"""What the teachers might say of three words a language, for tests."""

from __future__ import annotations

import numpy as np

from services.training.data.definitions import Definitions
from services.training.data.lexicon import Belief, Lexicon
from services.training.data.meanings import Meaning
from services.training.teachers.space import TeacherSpace

DOG = Meaning(family="scene", kind="object", id="dog", en=("dog", "hound"), zh=("狗", "犬"))
WOLF = Meaning(family="concept", kind="concept", id="wolf", en=("wolf",), zh=("狼",))


def tiny_lexicon() -> Lexicon:
    """The same each time."""
    rng = np.random.default_rng(0)
    words: dict[str, tuple[str, ...]] = {"en": ("doggie", "pooch", "wolf"), "zh": ("小狗狗", "汪星人", "狼")}
    return Lexicon(
        meanings=(DOG, WOLF),
        words=words,
        vectors={language: rng.normal(size=(3, 128)).astype(np.float16) for language in words},
        nearest={language: np.zeros((3, 2, 4), np.int16) for language in words},
        similarity={language: np.ones((3, 2, 4), np.float16) for language in words},
        meaning_vectors={language: rng.normal(size=(2, 128)).astype(np.float16) for language in words},
        beliefs={
            "en": tuple(Belief(word=i, meaning=0, similarity=s) for i, s in enumerate((0.75, 0.875, 0.9375))),
            "zh": (Belief(word=1, meaning=0, similarity=0.5),),
        },
        space=TeacherSpace(
            e5_centre={language: rng.normal(size=384).astype(np.float32) for language in words},
            minilm_centre=rng.normal(size=384).astype(np.float32),
            bridge=rng.normal(size=(384, 384)).astype(np.float32),
            basis=rng.normal(size=(768, 128)).astype(np.float32),
        ),
        definitions=Definitions(
            words=("lap hound", "she-wolf"),
            nearest=np.array([[[1, 1, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0]]], np.int16),
            similarity=np.array([[[0.5] * 4, [0.75, 0.5, 0.5, 0.5]], [[0.75, 0.5, 0.5, 0.5], [0.5] * 4]], np.float16),
        ),
    )
