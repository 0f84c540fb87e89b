"""What is counted of painted pictures, with a judge that sees what it is told."""

from __future__ import annotations

import numpy as np
import pytest

from services.training.data.scenes.truth import Fact
from services.training.evaluation.classification import rows_of
from services.training.evaluation.judge import Judge, Judgement, Seen
from services.training.evaluation.painted import is_seen, ratio_to_real, score_pictures
from services.training.evaluation.pictograms import measure_pictograms, pictogram_prompt
from services.training.evaluation.text_to_image import FIGURES, measure_gain, measure_scenes, prompts_of
from tests.services.training.evaluation.fakes import FakeTexts, fakes
from tests.services.training.evaluation.scenery import captioned, thing
from tests.services.training.evaluation.test_classification import colour_pack

LEFT = Seen(colour="black", x=0.2, y=0.5, foot=0.6)
RIGHT = Seen(colour="red", x=0.8, y=0.7, foot=0.9)
SEEN = Judgement(objects={"cat": LEFT, "dog": RIGHT}, background="meadow")


class Told(Judge):
    """A cat is what is redder than blue; it is black and on the left; a concept is the colour there is most of."""

    def __init__(self) -> None:
        """Without a network."""

    def see(self, pixels: np.ndarray) -> list[Judgement]:
        reds = pixels[..., 0].mean(axis=(1, 2)) > pixels[..., 2].mean(axis=(1, 2))
        return [Judgement(objects={"cat": LEFT} if red else {}, background="meadow") for red in reds]

    def name_concepts(self, pixels: np.ndarray) -> list[str]:
        return [("red", "green", "blue")[index] for index in pixels.mean(axis=(1, 2)).argmax(axis=1)]


@pytest.mark.parametrize(
    ("fact", "seen"),
    [
        (Fact("object", ("cat",)), True),
        (Fact("object", ("owl",)), False),
        (Fact("colour", ("cat", "black")), True),
        (Fact("colour", ("cat", "red")), False),
        (Fact("colour", ("owl", "red")), False),
        (Fact("background", ("meadow",)), True),
        (Fact("background", ("sea",)), False),
        (Fact("relation", ("cat", "left-of", "dog")), True),
        (Fact("relation", ("cat", "right-of", "dog")), False),
        (Fact("relation", ("dog", "in-front-of", "cat")), True),
        (Fact("relation", ("cat", "above", "dog")), True),
        (Fact("relation", ("cat", "left-of", "owl")), False),
    ],
)
def test_judge_agrees_with_what_it_sees(fact: Fact, seen: bool) -> None:
    assert is_seen(fact, SEEN) == seen


def test_facts_are_counted_by_aspect_and_counts_are_left_out() -> None:
    facts = frozenset({Fact("object", ("cat",)), Fact("object", ("dog",)), Fact("count", ("cat", "2"))})
    red, blue = (np.broadcast_to(np.array(each, np.uint8), (8, 8, 3)) for each in ((200, 0, 0), (0, 0, 200)))
    scored = score_pictures(Told(), np.stack([red, blue]), [facts, facts])
    assert scored.asked["object"].tolist() == [2, 2] and scored.found["object"].tolist() == [1, 0]
    assert scored.asked["background"].tolist() == [0, 0]
    real = score_pictures(Told(), np.stack([red, red]), [facts, facts])
    assert ratio_to_real(scored, real, "object").value == pytest.approx(0.5)


SCENES = [captioned("meadow", thing("cat"), seed=index) for index in range(8)]


def test_pictures_without_the_cat_lose_it_and_keep_the_meadow() -> None:
    models = fakes(
        text=FakeTexts({each.captions[lang].text: [0.1, 0.5, 0.9] for each in SCENES for lang in ("en", "zh")})
    )
    figures, painted = measure_scenes(models, Told(), prompts_of(models, SCENES))
    found = {each.name: each.estimate.value for each in figures if each.estimate}
    assert found["text_to_image.scenes.object"] == 0 and found["text_to_image.scenes.background"] == 1
    assert painted.shape == (8, 32, 32, 3)
    assert {each.name for each in figures} <= {name for name, _, _ in FIGURES}


def test_of_eight_candidates_the_nearest_to_the_prompt_is_kept() -> None:
    means = {each.captions[lang].text: [0.7, 0.4, 0.5] for each in SCENES for lang in ("en", "zh")}
    models = fakes(text=FakeTexts(means))  # one of eight seeds paints red enough to be a cat
    gain, chosen = measure_gain(models, Told(), prompts_of(models, SCENES))
    assert gain.estimate is not None and gain.estimate.value == 1 and gain.reached == "goal"
    assert (chosen[..., 0].mean(axis=(1, 2)) > chosen[..., 2].mean(axis=(1, 2))).all()


def test_prompts_take_turns_between_languages() -> None:
    prompts = prompts_of(fakes(text=FakeTexts({})), SCENES)
    assert [text.isascii() for text in prompts.texts] == [True, False] * 4


def test_pictograms_are_named_by_the_judge_as_a_ratio_to_real_ones() -> None:
    pack = colour_pack()
    rows = rows_of(pack, "test_pair")
    texts = [pictogram_prompt(pack, row, ("en", "zh")[place % 2]) for place, row in enumerate(rows)]
    models = fakes(text=FakeTexts(dict(zip(texts, ([0, 0, 1], [0, 0.1, 1], [0, 0.1, 1]), strict=True))))
    figure, prompts, painted = measure_pictograms(models, Told(), pack, rows)
    assert prompts == texts and len(painted) == 3
    assert figure.estimate is not None and figure.estimate.value == pytest.approx(1 / 2)  # blue alone, of red and blue
    copied = figure.beside["nearest training picture of the concept, ratio"]
    assert not isinstance(copied, float) and copied.value == pytest.approx(3 / 2)


def test_prompt_of_a_pictogram_names_thing_and_style() -> None:
    pack = colour_pack()
    row = int(rows_of(pack, "test_pair")[0])
    assert "red" in pictogram_prompt(pack, row, "en") and "style" in pictogram_prompt(pack, row, "en")
    assert "风格" in pictogram_prompt(pack, row, "zh")
