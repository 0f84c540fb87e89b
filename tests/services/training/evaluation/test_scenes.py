"""The held-out scenes: equal each time, told apart by their captions, compared by their pixels."""

from __future__ import annotations

from itertools import islice

import numpy as np

from services.training.data.scenes.truth import Fact, true_facts
from services.training.evaluation.scenes import (
    REFERENCE_SEED,
    captioned_scenes,
    distinct_scenes,
    judged_facts,
    nearest,
    scene_of,
    thumbnails,
    worded_scenes,
)
from tests.services.training.data.scenes.drawings import sprites
from tests.services.training.evaluation.scenery import captioned, thing


def test_equal_seeds_give_equal_scenes_and_captions() -> None:
    one, same = (list(islice(captioned_scenes(sprites(), first_seed=7), 2)) for _ in range(2))
    assert [each.captions for each in one] == [each.captions for each in same]
    assert all((a.pixels == b.pixels).all() for a, b in zip(one, same, strict=True))
    assert one[0].captions != one[1].captions


def test_scenes_that_fid_compares_with_give_no_prompt() -> None:
    prompts = {each.captions["en"].text for each in islice(captioned_scenes(sprites()), 20)}
    others = {each.captions["en"].text for each in islice(captioned_scenes(sprites(), first_seed=REFERENCE_SEED), 20)}
    assert prompts != others


def test_scene_of_which_anothers_caption_is_true_is_passed_over() -> None:
    one = captioned("meadow", thing("cat"), seed=1)
    more = captioned("meadow", thing("cat"), thing("dog", left=0.6), seed=2)  # "a cat in a meadow" is true of it
    other = captioned("beach", thing("cat"), seed=3)
    assert distinct_scenes([one, more, other], 10) == [one, other]
    assert distinct_scenes([more, one, other], 10) == [more, other]
    assert distinct_scenes([one, more, other], 1) == [one]


def test_worded_scenes_are_passed_over_for_equal_words_alone() -> None:
    one = captioned("meadow", thing("cat"), seed=1)
    more = captioned("meadow", thing("cat"), thing("dog", left=0.6), seed=2)
    assert worded_scenes([one, captioned("meadow", thing("cat"), seed=4), more], 10) == [one, more]


def test_relation_is_one_fact_whichever_way_it_is_told() -> None:
    told = judged_facts(frozenset({Fact("relation", ("cat", "right-of", "dog")), Fact("verb", ("cat", "running"))}))
    assert told == judged_facts(frozenset({Fact("relation", ("dog", "left-of", "cat"))}))


def test_scene_of_facts_shows_them_and_impossible_ones_have_none() -> None:
    facts = frozenset({Fact("object", ("cat",)), Fact("background", ("beach",))})
    found = scene_of(facts, 3, sprites())
    assert found is not None and facts <= true_facts(found.scene) and len(found.scene.objects) == 1
    assert scene_of(frozenset({Fact("object", ("whale",)), Fact("background", ("street",))}), 3, sprites()) is None


def test_nearest_picture_is_the_one_of_nearly_the_same_colour() -> None:
    pictures = [np.full((64, 64, 3), value, np.uint8) for value in (0, 100, 200)]
    rows = thumbnails(pictures)
    assert rows.shape == (3, 16 * 16 * 3)
    assert nearest(thumbnails([np.full((64, 64, 3), 190, np.uint8)]), rows).tolist() == [2]
