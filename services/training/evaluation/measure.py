"""Measures served models: subject by subject, to figures, sheets and one JSON object."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from services.training.data.pack import Pack, read_pack
from services.training.data.scenes.sprites import SpriteSet, read_sprites
from services.training.evaluation import captions, classification, pictograms, realism, text_to_image
from services.training.evaluation.curve import add_curves
from services.training.evaluation.features import load_feature_network
from services.training.evaluation.figures import Figure, not_measured, table
from services.training.evaluation.judge import Judge, read_judge
from services.training.evaluation.paraphrases import paraphrases_of
from services.training.evaluation.retrieval import measure_retrieval
from services.training.evaluation.scenes import CaptionedScene, captioned_scenes, distinct_scenes, worded_scenes
from services.training.evaluation.served import ServedModels, training_facts
from services.training.evaluation.sheets import SHOWN, write_sheet
from services.training.evaluation.subjects import Subject
from shared.errors import ConfigurationError

RESULTS = "evaluation.json"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many samples each figure has."""

    pictograms: int | None = None
    """Held-out pictures; None is all of them."""
    scenes: int = 1000
    """Held-out scenes, and as many whose captions tell them apart."""
    training_scenes: int = 5000
    """Of these the nearest gives its caption."""
    candidate_prompts: int = 300
    """Prompts that are painted eight times."""
    realism: int = 5000
    """Pictures of each set that FID compares."""
    diversity: int = 64
    """Prompts that are painted, and composed, sixteen times."""

    @staticmethod
    def at_most(number: int | None) -> Sizes:
        """No figure with more samples than this: a quick look, with wide intervals and an FID that says little."""
        usual = Sizes()
        if number is None:
            return usual
        return Sizes(
            pictograms=number,
            scenes=min(number, usual.scenes),
            training_scenes=min(number, usual.training_scenes),
            candidate_prompts=min(number, usual.candidate_prompts),
            realism=min(number, usual.realism),
            diversity=min(-(-number // 16), usual.diversity),
        )


class Evaluation:
    """One run over one set of models; data are read, and scenes composed, when a subject first needs them."""

    def __init__(self, models: ServedModels, *, data: Path, sprites: Path, judge: Path, out: Path, sizes: Sizes,
                 console: Console, others: Mapping[str, ServedModels] = MappingProxyType({}),
                 feature_network: Callable[[], nn.Module] = load_feature_network) -> None:  # fmt: skip
        self._others = others  # whose text encoders are measured beside
        self._models, self._sizes, self._console, self._feature_network = models, sizes, console, feature_network
        self._data, self._sprites_file, self._judge_folder, self._out = data, sprites, judge, out

    @cached_property
    def pack(self) -> Pack:
        """The pictograms."""
        return read_pack(self._data)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Rows of held-out (concept, style family) pairs."""
        return classification.rows_of(self.pack, "test_pair", self._sizes.pictograms)

    @cached_property
    def sprites(self) -> SpriteSet:
        """What scenes are composed of."""
        return read_sprites(self._sprites_file)

    @cached_property
    def scenes(self) -> list[CaptionedScene]:
        """The first held-out scenes."""
        return list(islice(captioned_scenes(self.sprites), self._sizes.scenes))

    @cached_property
    def distinct_scenes(self) -> list[CaptionedScene]:
        """Held-out scenes whose captions tell them apart: those of `scenes`, and further ones."""
        further = captioned_scenes(self.sprites, first_seed=len(self.scenes))
        return distinct_scenes(chain(self.scenes, further), self._sizes.scenes)

    @cached_property
    def worded_scenes(self) -> list[CaptionedScene]:
        """The first held-out scenes whose captions merely differ in words."""
        further = captioned_scenes(self.sprites, first_seed=len(self.scenes))
        return worded_scenes(chain(self.scenes, further), self._sizes.scenes)

    @cached_property
    def judge(self) -> Judge | None:
        """None where there is none; figures that need it then say so."""
        try:
            return read_judge(self._judge_folder)
        except ConfigurationError as error:
            self._console.print(f"[yellow]{error}[/yellow]", highlight=False)
            return None

    def measure(self, subject: Subject) -> list[Figure]:
        """The figures of a subject; its sheets are written."""
        parts: Mapping[Subject, Callable[[], list[Figure]]] = {
            Subject.CLASSIFICATION: self._classification,
            Subject.RETRIEVAL: self._retrieval,
            Subject.IMAGE_TO_TEXT: self._image_to_text,
            Subject.TEXT_TO_IMAGE: self._text_to_image,
        }
        return parts[subject]()

    def _classification(self) -> list[Figure]:
        pictures = classification.measure_pictograms(self._models, self.pack, self.rows)
        pictures += classification.measure_zero_shot(self._models, self.pack, self.rows)
        return pictures + classification.measure_scenes(self._models, self.scenes)

    def _retrieval(self) -> list[Figure]:
        scenes = self.distinct_scenes
        encoders = {name: self._paired(name, other).encode_texts for name, other in self._others.items()}
        paraphrases = paraphrases_of(scenes, self.sprites)
        return measure_retrieval(self._models, scenes, paraphrases, self.worded_scenes, encoders)

    def _paired(self, name: str, other: ServedModels) -> ServedModels:
        space, wanted = other.text.info.space, self._models.classification.info.space
        if space != wanted:
            raise ConfigurationError(f"--beside {name}: its space is {space}, that of the pictures {wanted}")
        return other

    def _image_to_text(self) -> list[Figure]:
        training = list(islice(captioned_scenes(self.sprites, split="train"), self._sizes.training_scenes))
        scenes, said = captions.measure_scene_captions(self._models, self.scenes, training)
        pictures, named = captions.measure_pictogram_captions(self._models, self.pack, self.rows)
        for language in said:
            self._sheet(f"captions-scenes-{language}", [each.pixels for each in self.scenes], said[language])
            self._sheet(f"captions-pictograms-{language}", list(self.pack.pixels[self.rows]), named[language])
        return scenes + pictures

    def _text_to_image(self) -> list[Figure]:
        network = self._feature_network()
        sizes = self._sizes
        real = realism.measure_realism(self._models, network, self.sprites, sizes.realism, sizes.diversity)
        return [*self._judged(), *real]

    def _judged(self) -> list[Figure]:
        """What the judge sees; without one, the same first pictures for people to see."""
        if (judge := self.judge) is None:
            shown = text_to_image.prompts_of(self._models, self.scenes[:SHOWN])
            self._sheet("painted-scenes", list(self._models.paint(shown.vectors, range(len(shown.texts)))), shown.texts)
            why = f"there is no judge in {self._judge_folder}"
            return [not_measured(name, title, why, target) for name, title, target in text_to_image.FIGURES]
        prompts = text_to_image.prompts_of(self._models, self.scenes)
        few = text_to_image.prompts_of(self._models, self.scenes[: self._sizes.candidate_prompts])
        scenes, painted = text_to_image.measure_scenes(self._models, judge, prompts)
        self._sheet("painted-scenes", list(painted), prompts.texts)
        gain, chosen = text_to_image.measure_gain(self._models, judge, few)
        self._sheet("painted-scenes-best-of-8", list(chosen), few.texts)
        pictures, texts, drawn = pictograms.measure_pictograms(self._models, judge, self.pack, self.rows)
        self._sheet("painted-pictograms", list(drawn), texts)
        return [*scenes, pictures, gain]

    def _sheet(self, name: str, pictures: Sequence[NDArray[np.uint8]], texts: Sequence[str]) -> None:
        write_sheet(self._out / f"{name}.png", pictures, texts)


def evaluate(
    evaluation: Evaluation, subjects: Sequence[Subject], directories: Mapping[str, Path], out: Path, console: Console,
    earlier: Sequence[Path] = (),
) -> dict[str, Any]:  # fmt: skip
    """Measures, prints the table and writes RESULTS; the object that is written.

    earlier: files of evaluations of the same models after fewer steps, for curves.
    """
    figures: list[Figure] = []
    seconds: dict[str, float] = {}
    for subject in subjects:
        start = time.monotonic()
        figures += evaluation.measure(subject)
        seconds[subject] = round(time.monotonic() - start, 1)
        console.print(f"{subject}: {seconds[subject]} s", highlight=False)
    console.print(table(figures))
    result = {
        "models": training_facts(directories),
        "figures": [figure.to_json() for figure in figures],
        "seconds": seconds,
    }
    add_curves(result, earlier)
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULTS).write_text(json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf-8")
    return result
