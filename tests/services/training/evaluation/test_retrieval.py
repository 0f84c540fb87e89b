"""Retrieval of pictures by texts and of texts by pictures, with vectors that are colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.training.data.scenes.captions import SceneCaption
from services.training.data.scenes.truth import Fact
from services.training.evaluation.bootstrap import Estimate
from services.training.evaluation.retrieval import (
    Paraphrases,
    first_is_right,
    measure_retrieval,
    nearest_is_true,
)
from tests.services.training.evaluation.fakes import FakeTexts, fakes
from tests.services.training.evaluation.scenery import captioned, thing

SCENES = [
    captioned(place, thing("cat", colour))
    for place, colour in (("meadow", "red"), ("beach", "blue"), ("snow", "black"))
]
MEANS = {
    each.captions[language].text: each.pixels.mean(axis=(0, 1)).tolist() for each in SCENES for language in ("en", "zh")
}


def test_first_is_right_where_its_own_is_the_greatest_alone() -> None:
    similarity = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.5, 0.1, 0.5]], np.float32)
    assert first_is_right(similarity).tolist() == [True, False, False]  # of equals none is found


def test_texts_that_mean_their_pictures_find_them_both_ways() -> None:
    figures = {each.name: each for each in measure_retrieval(fakes(text=FakeTexts(MEANS)), SCENES, {}, SCENES)}
    for language in ("en", "zh"):
        for way in ("text_to_picture", "picture_to_text"):
            figure = figures[f"retrieval.{way}.{language}"]
            assert figure.estimate is not None and figure.estimate.value == 1 and figure.estimate.samples == 3
            assert figure.beside["chance"] == pytest.approx(1 / 3)


def test_scenes_of_captions_in_other_words_are_beside() -> None:
    """The fourth has another text for what is as true of the first, and is nearest to it."""
    more = captioned("meadow", thing("cat", "red"), seed=9)
    texts = {language: SceneCaption(text=f"{language} again", facts=said.facts)
             for language, said in more.captions.items()}  # fmt: skip
    worded = [*SCENES, replace(more, captions=texts)]
    means = MEANS | {each.text: MEANS[SCENES[0].captions["en"].text] for each in texts.values()}
    figures = measure_retrieval(fakes(text=FakeTexts(means)), SCENES, {}, worded)
    found = figures[0].beside["of 4 captions merely in other words"]
    assert isinstance(found, Estimate) and found.value == pytest.approx(0.5) and found.samples == 4
    assert figures[0].estimate is not None and figures[0].estimate.value == 1


def test_languages_are_measured_apart() -> None:
    english = {text: mean for text, mean in MEANS.items() if text.isascii()}
    english |= {each.captions["zh"].text: MEANS[SCENES[0].captions["en"].text] for each in SCENES}
    figures = {each.name: each for each in measure_retrieval(fakes(text=FakeTexts(english)), SCENES, {}, SCENES)}
    found = {name: figures[f"retrieval.text_to_picture.{name}"].estimate for name in ("en", "zh")}
    assert found["en"] is not None and found["zh"] is not None
    assert found["en"].value == 1 and found["zh"].value == pytest.approx(1 / 3)


def test_paraphrases_are_a_ratio_to_plain_captions_of_the_same_scenes() -> None:
    plain = [each.captions["en"] for each in SCENES]
    texts = ["a kitty on a lawn", "a kitty by the sea", "nobody knows"]
    means = MEANS | dict(zip(texts, [MEANS[each.text] for each in plain], strict=True))
    means["nobody knows"] = means["a kitty by the sea"]
    rewritten = [SceneCaption(text=text, facts=each.facts) for text, each in zip(texts, plain, strict=True)]
    paraphrases = {"en": Paraphrases(plain=plain, rewritten=rewritten)}
    figures = {each.name: each for each in measure_retrieval(fakes(text=FakeTexts(means)), SCENES, paraphrases, SCENES)}
    figure = figures["retrieval.paraphrases.en"]
    assert figure.estimate is not None and figure.estimate.value == pytest.approx(2 / 3)
    assert figure.beside["chance rewritten"] == pytest.approx(1 / 3)
    assert figures["retrieval.paraphrases.zh"].reached == "not measured"


def test_other_encoders_are_beside_each_figure_on_the_very_same() -> None:
    plain = [each.captions["en"] for each in SCENES]
    kitty = SceneCaption(text="a kitty on a lawn", facts=plain[0].facts)
    taught = MEANS | {kitty.text: MEANS[plain[0].text]}
    untaught = MEANS | {kitty.text: MEANS[plain[1].text], plain[2].text: MEANS[plain[0].text]}
    figures = {each.name: each for each in measure_retrieval(
        fakes(text=FakeTexts(taught)), SCENES, {"en": Paraphrases(plain=plain[:1], rewritten=[kitty])}, SCENES,
        {"untaught": fakes(text=FakeTexts(untaught)).encode_texts},
    )}  # fmt: skip
    found = {name: figures[f"retrieval.{name}.en"].beside["untaught"] for name in ("text_to_picture", "paraphrases")}
    values = {name: each.value for name, each in found.items() if isinstance(each, Estimate)}
    assert values == {"text_to_picture": pytest.approx(2 / 3), "paraphrases": 0}
    assert all(figures[f"retrieval.{name}.en"].estimate.value == 1 for name in found)  # type: ignore[union-attr]


def test_paraphrases_may_be_about_further_scenes() -> None:
    night = captioned("snow", thing("dog", "red"))
    text = night.captions["zh"]
    means = MEANS | {text.text: night.pixels.mean(axis=(0, 1)).tolist()}
    paraphrases = {"zh": Paraphrases(plain=[text], rewritten=[text], further=[night])}
    figures = {each.name: each for each in measure_retrieval(fakes(text=FakeTexts(means)), SCENES, paraphrases, SCENES)}
    found = figures["retrieval.paraphrases.zh"]
    assert found.estimate is not None and found.estimate.value == 1 and "among 4 scenes" in found.note


def test_any_picture_that_shows_what_a_text_says_is_right() -> None:
    similarity = np.array([[0.1, 0.9], [0.9, 0.1]], np.float32)
    one, two = (frozenset({Fact("object", (kind,)), Fact("background", ("snow",))}) for kind in ("cat", "dog"))
    said = [SceneCaption(text="snow", facts=one & two), SceneCaption(text="a dog", facts=two)]
    assert nearest_is_true(similarity, said, [one, two]).tolist() == [True, False]
