"""`diptych train builtin encoders`: the text and the image encoder of a new joint space."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.classification.config import PRESETS as IMAGE_PRESETS
from services.classification.config import ImageEncoderConfig
from services.classification.model import EncodedImages, ImageEncoder
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.builtin.measuring import encode_captions, encode_pictures, encoder_metrics, validation_pictograms
from services.training.builtin.other_words import go_on_with_other_words
from services.training.builtin.run import Run, digest_of
from services.training.calibration import fitted_temperature
from services.training.data.captions import clean_caption, label, random_caption
from services.training.data.label_names import head_labels
from services.training.data.lexicon import Lexicon, read_lexicon
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.pool import ScenePool
from services.training.encoding.joint import JointTrainer
from services.training.encoding.rewording import RewordingTrainer
from services.training.encoding.rewriter import Rewriter
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneSampler
from services.training.encoding.word_lessons import WordLessons
from services.training.export import write_labels, write_model_directory, write_tokenizer
from services.training.samples import Sampler
from services.training.tokenizers import train_tokenizer
from services.training.zero_shot import calibrated_scale
from shared.inference.runtime import channels_last

VOCABULARY = {"scenes": 8000, "tiny": 400}
REWORDING_SHARE = 0.106
"""Of the budget."""
CAPTIONS_A_CONCEPT = 40
SCENES_READ = 10_000
"""For the tokenizer."""


def train_encoders(run: Run) -> None:
    """Trains both, fits temperatures on validation data, and writes their directories.

    Raises ConfigurationError where there is no data, no lexicon, or a checkpoint of other options.
    """
    if run.options.start is not None:
        go_on_with_other_words(run)
        return
    options, pack, pool = run.options, run.material.pack, run.material.pool
    lexicon = read_lexicon(options.lexicon)
    vocabulary = VOCABULARY[options.preset]
    tokenizer = run.tokenizer("encoders", lambda: joint_tokenizer(pack, pool, lexicon, vocabulary=vocabulary))
    text_config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **TEXT_PRESETS[options.preset])
    labels = head_labels(pack)
    heads = {name: len(found) for name, found in labels.items()}
    image_config = ImageEncoderConfig(concepts=len(pack.concepts), heads=heads, **IMAGE_PRESETS[options.preset])
    text = TextEncoder(text_config).to(run.device)
    image = channels_last(ImageEncoder(image_config).to(run.device))
    index = FactIndex(kinds=list(object_classes()), colours=list(COLOURS), backgrounds=list(BACKGROUNDS))
    subgroups = [one["id"] for one in labels["subgroup"]]
    trainer = JointTrainer(
        text, image, tokenizer,
        Sampler(pack, run.device, seed=options.seed + 1, pixels=pack.pixels.shape[1], loose=0.03),
        SceneSampler(pool, index, WordLessons(lexicon, seed=options.seed + 3), styles=pack.styles,
                     seed=options.seed + 2),
        index, WordLessons(lexicon, seed=options.seed + 4),
        subgroups=torch.tensor([subgroups.index(one.subgroup) for one in pack.concepts], device=run.device),
        styles=len(pack.styles), space_width=text_config.space_width, batch=options.batch,
    )  # fmt: skip
    run.train(trainer, stage="encoders", share=1 - REWORDING_SHARE)
    trainer.take_average()
    rewriter = Rewriter(lexicon, seed=options.seed + 5)
    rewording = RewordingTrainer(text, tokenizer, rewriter, pack, pool.scenes, batch=2 * options.batch,
                                 seed=options.seed + 6)  # fmt: skip
    run.train(rewording, stage="rewording", share=REWORDING_SHARE, base=digest_of(text))
    rewording.take_average()
    write_encoders(run, text.eval(), text_config, image.eval(), image_config, tokenizer)


def joint_tokenizer(pack: Pack, pool: ScenePool, lexicon: Lexicon, *, vocabulary: int) -> Tokenizer:
    """The text encoder's tokenizer, trained on captions of training pictures and on the lexicon's words."""
    rng = random.Random(0)
    texts = []
    for concept in (pack.concepts[index] for index in sorted(set(pack.concept[pack.train].tolist()))):
        texts += [random_caption(concept, rng.choice(pack.styles), rng).text for _ in range(CAPTIONS_A_CONCEPT)]
        texts += [clean_caption(concept, "en"), clean_caption(concept, "zh"), *concept.en_tags, *concept.zh_tags]
    for scene in rng.sample(list(pool.scenes), min(SCENES_READ, len(pool))):
        texts += [caption(scene, language, rng).text for language in LANGUAGES]
    texts += [word for language in LANGUAGES for word in lexicon.words[language]]
    return train_tokenizer(texts, vocabulary=vocabulary, lower_case=True)


def write_encoders(
    run: Run,
    text: TextEncoder,
    text_config: TextEncoderConfig,
    image: ImageEncoder,
    image_config: ImageEncoderConfig,
    tokenizer: Tokenizer,
) -> None:
    """Measures both on validation data and writes their directories with the id of their space."""
    pack, out = run.material.pack, run.options.out
    rows, pictograms = validation_pictograms(image, pack)
    scenes, pictures = run.material.validation
    seen = encode_pictures(image, pictures)
    names = [encode_captions(text, tokenizer, [label(one, lang) for one in pack.concepts]) for lang in LANGUAGES]
    right = torch.from_numpy(pack.concept[rows])
    metrics = encoder_metrics(text, image, tokenizer, pictograms, right, seen, scenes)
    run.console.print(metrics)
    scale = calibrated_scale(pictograms.vectors.cpu(), torch.stack(names).cpu(), right)
    space = space_id(image)
    write_model_directory(
        out / "text",
        task="text",
        module=text,
        config=text_config,
        card=run.card("text", "English and Chinese words for pictograms and scenes.", space, metrics=metrics),
        files=[write_tokenizer(out / "text", tokenizer)],
    )
    temperature = head_temperatures(run, pictograms, rows, seen)
    write_model_directory(
        out / "classification",
        task="classification",
        module=image,
        config=image_config,
        card=run.card(
            "classification", "Names and encodes pictograms and scenes.", space, metrics=metrics,
            serving={"zero_shot_scale": scale, "temperature": temperature},
        ),
        files=[write_labels(out / "classification", pack, head_labels(pack))],
    )  # fmt: skip


def head_temperatures(
    run: Run, pictograms: EncodedImages, rows: NDArray[np.int64], seen: EncodedImages
) -> dict[str, float]:
    """By head the temperature that suits validation pictures: pictograms, scenes, or both."""
    pack, scenes = run.material.pack, run.material.validation[0]
    labels = {head: [one["id"] for one in found] for head, found in head_labels(pack).items()}
    concepts = [pack.concepts[index] for index in pack.concept[rows]]

    def indices(head: str, names: list[str]) -> Tensor:
        return torch.tensor([labels[head].index(name) for name in names])

    def present(head: str, names: list[set[str | None]]) -> Tensor:
        return torch.tensor([[label in found for label in labels[head]] for found in names])

    both = {
        head: torch.cat((pictograms.heads[head].float().cpu(), seen.heads[head].float().cpu()))
        for head in ("background", "style")
    }
    backgrounds = ["plain"] * len(rows) + [one.background for one in scenes]
    styles = [pack.styles[index] for index in pack.style[rows]] + [one.style for one in scenes]
    kinds = [{one.kind for one in scene.objects} for scene in scenes]
    colours = [{one.colour for one in scene.objects} for scene in scenes]
    return {
        "concept": fitted_temperature(pictograms.logits, torch.from_numpy(pack.concept[rows])),
        "subgroup": fitted_temperature(
            pictograms.heads["subgroup"], indices("subgroup", [one.subgroup for one in concepts])
        ),
        "background": fitted_temperature(both["background"], indices("background", backgrounds)),
        "objects": fitted_temperature(seen.heads["objects"], present("objects", kinds)),  # type: ignore[arg-type]
        "colour": fitted_temperature(seen.heads["colour"], present("colour", colours)),
        "style": fitted_temperature(both["style"], indices("style", styles)),
    }


def space_id(image: nn.Module) -> str:
    """A name for the space that two trainings never share: a hash of the concept prototypes."""
    prototypes = image.get_parameter("concepts").detach().cpu().numpy().tobytes()
    return f"pictures-{hashlib.sha256(prototypes).hexdigest()[:8]}"
