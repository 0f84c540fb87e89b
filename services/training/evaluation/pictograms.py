"""What the generator paints for held-out (concept, style family) pairs, named by the judge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.training.data.captions import STYLE_WORDS, clean_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.evaluation.bootstrap import mean, ratio
from services.training.evaluation.figures import Figure, Target
from services.training.evaluation.judge import Judge
from services.training.evaluation.scenes import nearest, thumbnails
from services.training.evaluation.served import ServedModels

PICTOGRAMS = Target(must=0.35, goal=0.70)


def pictogram_prompt(pack: Pack, row: int, language: str) -> str:
    """The concept in words, with a word for the style: `a cat, cartoon style`."""
    concept, style = pack.concepts[pack.concept[row]], pack.styles[pack.style[row]]
    english, chinese = STYLE_WORDS[style]
    if language == "zh":
        return f"{clean_caption(concept, 'zh')},{chinese[0]}风格"
    return f"{clean_caption(concept, 'en')}, {english[0]} style"


def measure_pictograms(
    models: ServedModels, judge: Judge, pack: Pack, rows: NDArray[np.intp]
) -> tuple[Figure, list[str], NDArray[np.uint8]]:
    """The judge's concept top-1 on painted pictures of held-out pairs over that on the real ones; prompts, pictures.

    One picture a row, the languages in turn, the row's place being the seed. Beside: both shares, and the ratio of the
    training picture of the concept that is nearest to the real one by 16 x 16 pixels.
    """
    prompts = [pictogram_prompt(pack, row, LANGUAGES[place % 2]) for place, row in enumerate(rows)]
    painted = np.stack(list(models.paint(models.encode_texts(prompts), range(len(rows)))))
    wanted = [pack.concepts[index].id for index in pack.concept[rows]]

    def right(pictures: NDArray[np.uint8]) -> list[bool]:
        return [found == name for found, name in zip(judge.name_concepts(pictures), wanted, strict=True)]

    ours, real, copied = (right(each) for each in (painted, pack.pixels[rows], pack.pixels[_nearest(pack, rows)]))
    figure = Figure(
        name="text_to_image.pictograms.top1",
        title="text to pictogram, held-out pairs: concept top-1, ratio to real",
        estimate=ratio(ours, real),
        target=PICTOGRAMS,
        beside={
            "painted": mean(ours),
            "real": mean(real),
            "nearest training picture of the concept, ratio": ratio(copied, real),
        },
    )
    return figure, prompts, painted


def _nearest(pack: Pack, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each row the training row of its concept that looks most like it; a held-out pair's concept has some."""
    small = thumbnails(list(pack.pixels))
    fellows = [np.flatnonzero(pack.train & (pack.concept == pack.concept[row])) for row in rows]
    return np.array([each[nearest(small[[row]], small[each])[0]] for row, each in zip(rows, fellows, strict=True)])
