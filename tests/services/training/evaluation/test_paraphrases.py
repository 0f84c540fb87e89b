"""Held-out scenes' captions in other words, and the scenes that belong to the hand-written sentences."""

from __future__ import annotations

from services.training.data.scenes.captions import SceneCaption
from services.training.data.scenes.truth import true_facts
from services.training.evaluation.paraphrases import hand_written, paraphrases_of, reworded
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.evaluation.scenery import captioned, thing


def test_english_captions_keep_their_facts_in_other_words() -> None:
    scene = captioned("meadow", thing("cat"))
    found = reworded([scene])
    assert found.plain == [scene.captions["en"]] and not found.further
    assert found.rewritten[0].facts == found.plain[0].facts and found.rewritten[0].text != found.plain[0].text


def test_captions_with_nothing_to_rewrite_are_left_out() -> None:
    scene = captioned("meadow", thing("cat"))
    scene.captions["en"] = SceneCaption(text="xyz", facts=frozenset())  # type: ignore[index]  # a dict, really
    assert not reworded([scene]).plain


def test_hand_written_sentences_are_true_of_the_scenes_composed_for_them() -> None:
    found = hand_written(sprites(), 3)
    assert len(found.further) == len(found.plain) == len(found.rewritten) == 3
    for text, plain, scene in zip(found.rewritten, found.plain, found.further, strict=True):
        assert text.facts <= true_facts(scene.scene) and plain.facts <= true_facts(scene.scene)
        assert text.text != plain.text


def test_there_are_paraphrases_in_both_languages() -> None:
    found = paraphrases_of([captioned("meadow", thing("cat"))], sprites())
    assert set(found) == {"en", "zh"} and len(found["zh"].plain) == 1
