"""`diptych train builtin encoders`: the text and the image encoder of a new joint space."""

from __future__ import annotations

import random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.classification.config import PRESETS as IMAGE_PRESETS
from services.classification.config import ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.text.config import PRESETS as TEXT_PRESETS
from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from services.training.builtin.image_directory import measure_encoders, space_id, write_image_encoder
from services.training.builtin.other_words import go_on_with_other_words
from services.training.builtin.run import Run, digest_of
from services.training.data.captions import clean_caption, random_caption
from services.training.data.label_names import head_labels
from services.training.data.lexicon import Lexicon, read_lexicon
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.classes import BACKGROUNDS, COLOURS, object_classes
from services.training.data.scenes.pool import ScenePool
from services.training.encoding.batches import EncoderBatches
from services.training.encoding.concept_directions import fit_concepts
from services.training.encoding.joint import JointTrainer
from services.training.encoding.objectives import Objectives
from services.training.encoding.rewording import RewordingTrainer
from services.training.encoding.rewriter import Rewriter
from services.training.encoding.scene_facts import FactIndex
from services.training.encoding.scene_sampler import SceneSampler
from services.training.encoding.word_layers import confined, with_word_layers
from services.training.encoding.word_lessons import WordLessons
from services.training.export import write_model_directory, write_tokenizer
from services.training.samples import Sampler
from services.training.tokenizers import train_tokenizer
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
    index = scene_facts_index()
    trainer = JointTrainer(
        text, image, tokenizer, encoder_batches(run, index, lexicon, tokenizer, pixels=image_config.pixels),
        Objectives(image, index, subgroups=subgroups_of(pack), styles=len(pack.styles)),
        WordLessons(lexicon, seed=options.seed + 4),
    )  # fmt: skip
    run.train(trainer, stage="encoders", share=1 - REWORDING_SHARE)
    trainer.take_average()
    rewriter = Rewriter(lexicon, seed=options.seed + 5)
    text_config = confined(text_config)
    first, text = text, with_word_layers(text, text_config, tokenizer)
    rewording = RewordingTrainer(text, first, tokenizer, rewriter, pack, pool.scenes, batch=2 * options.batch,
                                 seed=options.seed + 6)  # fmt: skip
    run.train(rewording, stage="rewording", share=REWORDING_SHARE, base=digest_of(first, f"{text_config}"))
    rewording.take_average()
    space = space_id(image)
    fit_concepts(image.eval(), pack)
    findings = measure_encoders(run, text.eval(), image, tokenizer)
    card = run.card("text", "English and Chinese words for pictograms and scenes.", space, metrics=findings.metrics)
    out = options.out / "text"
    write_model_directory(out, task="text", module=text, config=text_config, card=card,
                          files=[write_tokenizer(out, tokenizer)])  # fmt: skip
    write_image_encoder(run, image, image_config, space, findings)


def scene_facts_index() -> FactIndex:
    """Of all that scenes may show."""
    return FactIndex(kinds=list(object_classes()), colours=list(COLOURS), backgrounds=list(BACKGROUNDS))


def subgroups_of(pack: Pack) -> Tensor:
    """(C,) of each concept the row of its group in the head."""
    rows = {one["id"]: row for row, one in enumerate(head_labels(pack)["subgroup"])}
    return torch.tensor([rows[concept.subgroup] for concept in pack.concepts])


def encoder_batches(
    run: Run, index: FactIndex, lexicon: Lexicon, tokenizer: Tokenizer, *, pixels: int
) -> EncoderBatches:
    """Of the run's pictograms and scenes."""
    options, pack = run.options, run.material.pack
    pictograms = Sampler(pack, run.device, seed=options.seed + 1, pixels=pack.pixels.shape[1], loose=0.03)
    lessons = WordLessons(lexicon, seed=options.seed + 3)
    scenes = SceneSampler(run.material.pool, index, lessons, styles=pack.styles, seed=options.seed + 2)
    return EncoderBatches(pictograms, scenes, tokenizer, run.device, size=options.batch, pixels=pixels)


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
