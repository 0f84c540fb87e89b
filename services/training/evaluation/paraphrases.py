"""Captions in words that no training caption holds, for the held-out scenes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from services.training.data.scenes.captions import SceneCaption, caption
from services.training.data.scenes.sprites import SpriteSet
from services.training.evaluation.retrieval import Paraphrases
from services.training.evaluation.scenes import CaptionedScene, scene_of
from services.training.rewording.chinese import hand_written_captions
from services.training.rewording.english import reword


def paraphrases_of(scenes: Sequence[CaptionedScene], sprites: SpriteSet) -> Mapping[str, Paraphrases]:
    """By language: English ones of these scenes, Chinese ones of scenes of their own."""
    return {"en": reworded(scenes), "zh": hand_written(sprites, len(scenes))}


def reworded(scenes: Sequence[CaptionedScene]) -> Paraphrases:
    """The scenes' English captions with a synonym for every word that has one; captions without any are left out."""
    pairs = [(each.captions["en"], reword(each.captions["en"].text, each.scene.seed)) for each in scenes]
    changed = [(plain, new) for plain, new in pairs if new.replaced]
    return Paraphrases(
        plain=[plain for plain, _ in changed],
        rewritten=[SceneCaption(text=new.text, facts=plain.facts) for plain, new in changed],
    )


def hand_written(sprites: SpriteSet, most: int) -> Paraphrases:
    """The Chinese sentences, a scene composed for each, and the caption that the grammar writes of it.

    A sentence of which no scene can be composed is left out.
    """
    rewritten, further = [], []
    for seed, sentence in enumerate(hand_written_captions()[:most]):
        if (composed := scene_of(sentence.facts, seed, sprites)) is None:
            continue
        rewritten.append(SceneCaption(text=sentence.text, facts=sentence.facts))
        plain = caption(composed.scene, "zh", random.Random(f"{seed} zh"))
        further.append(CaptionedScene(scene=composed.scene, pixels=composed.pixels, captions={"zh": plain}))
    return Paraphrases(
        plain=[each.captions["zh"] for each in further],
        rewritten=rewritten,
        further=further,
    )
