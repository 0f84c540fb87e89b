"""The 200 hand-written Chinese captions: their facts can be shown, and their words are as new as they claim."""

from __future__ import annotations

from collections import Counter

from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.truth import STANDING
from services.training.data.scenes.wording import BACKGROUND_WORDS, RELATION_WORDS, VERB_WORDS
from services.training.rewording.chinese import HandWrittenCaption, hand_written_captions

MOST_OBJECTS = 5


def named(caption: HandWrittenCaption) -> set[str]:
    """The kinds of things in it."""
    return {fact.value[0] for fact in caption.facts if fact.kind == "object"}


def test_there_are_two_hundred_different_ones_over_most_classes() -> None:
    captions = hand_written_captions()
    assert len({caption.text for caption in captions}) == len(captions) == 200
    kinds = {fact.value[0] for caption in captions for fact in caption.facts if fact.kind == "object"}
    assert kinds == set(object_classes())


def test_every_fact_can_be_shown_in_its_background() -> None:
    for caption in hand_written_captions():
        (background,) = (fact.value[0] for fact in caption.facts if fact.kind == "background")
        assert background in BACKGROUNDS, caption.text
        stances = {kind: object_classes()[kind].stances[background] for kind in named(caption)}
        counts = {fact.value[0]: int(fact.value[1]) for fact in caption.facts if fact.kind == "count"}
        assert sum(counts.get(kind, 1) for kind in stances) <= MOST_OBJECTS, caption.text
        for fact in caption.facts:
            if fact.kind == "colour":
                assert fact.value[1] in COLOURS and object_classes()[fact.value[0]].paintable, caption.text
            if fact.kind == "verb":
                assert fact.value[1] in {piece.verb for piece in object_classes()[fact.value[0]].pieces}, caption.text
            if fact.kind == "relation" and fact.value[1] not in ("left-of", "right-of"):
                first, relation, second = fact.value
                both_stand = stances[first] in STANDING and stances[second] in STANDING
                assert both_stand == (relation in ("in-front-of", "behind")), caption.text


def test_unseen_words_are_in_the_sentence_and_in_no_caption() -> None:
    known = [name for each in object_classes().values() for name in each.zh]
    known += [f"{colour.zh}色的" for colour in COLOURS.values()]
    known += [
        word
        for table in (BACKGROUND_WORDS["zh"], RELATION_WORDS["zh"], VERB_WORDS["zh"])
        for row in table.values()
        for word in row
    ]
    for caption in hand_written_captions():
        for word in caption.unseen:
            assert word in caption.text, caption
            assert not any(word in name for name in known), (word, caption)


def test_nearly_all_have_words_that_no_caption_has() -> None:
    new = Counter(bool(caption.unseen) for caption in hand_written_captions())
    assert new[True] >= 190


def test_facts_of_an_object_name_an_object_of_the_sentence() -> None:
    for caption in hand_written_captions():
        for fact in caption.facts:
            if fact.kind in ("colour", "count", "verb"):
                assert fact.value[0] in named(caption), caption.text
            if fact.kind == "relation":
                assert {fact.value[0], fact.value[2]} <= named(caption), caption.text
