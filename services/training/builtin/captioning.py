"""`diptych train builtin captioning`: a caption decoder for the image encoder in OUT."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
from tokenizers import Tokenizer

from services.captioning.config import PRESETS, CaptionerConfig
from services.captioning.model import Captioner
from services.training.builtin.measuring import exact_captions, validation_pictograms
from services.training.builtin.run import Run
from services.training.captioning import (
    CaptionerTrainer,
    Views,
    caption_tokenizer,
    join_views,
    longest_caption,
    views_of_pictograms,
    views_of_scenes,
)
from services.training.data.balance import balance
from services.training.data.captions import clean_caption
from services.training.data.meanings import LANGUAGES
from services.training.export import write_model_directory, write_tokenizer
from services.training.models import read_captioner, read_image_encoder, require_same_tokens
from services.training.tokenizers import vectors_of_new_tokens
from shared.errors import ConfigurationError
from shared.inference.model_directory import ModelDirectory

VOCABULARY = {"scenes": 3500, "tiny": 400}
VIEW_ROUNDS = 4
"""Views of each pictogram, half of them in another style: a drawing of a set that was never seen is yet another."""
SCENE_SHARE = 0.65
"""Of what the decoder learns from: captions of scenes are longer, and say more that can be wrong."""

Begun = tuple[Captioner, Tokenizer, ModelDirectory]
"""What --from names."""


def train_captioning(run: Run) -> None:
    """Encodes the training pictures once, trains the decoder on that, and writes its directory.

    With --from it is the decoder of that model that goes on, with its vocabulary or with a new one. Pictograms are
    drawn so that every concept comes as often.

    Raises ConfigurationError and ModelDirectoryError where there is no data, or no image encoder in OUT.
    """
    options, material = run.options, run.material
    image, directory = read_image_encoder(options.out / "classification", run.device)
    begun = None if options.start is None else read_captioner(run.start_of("captioning"), run.device)
    start = None if begun is None else begun[2]
    if start is not None:
        require_same_tokens(directory, start)
    elif options.new_vocabulary:
        raise ConfigurationError("--new-vocabulary: needs --from")
    with run.console.status("encoding pictures"):
        pictograms = views_of_pictograms(image, material.pack, rounds=VIEW_ROUNDS, device=run.device)
        scenes = views_of_scenes(image, material.pool, count=len(material.pool), device=run.device)
    views = join_views(pictograms, scenes)
    base = _digest(directory.space, start.digest if start else "")
    captioner, tokenizer = _decoder(run, views, begun, base)
    drawn = np.tile(balance(material.pack)[material.pack.train], VIEW_ROUNDS)
    weights = np.concatenate((
        drawn * (1 - SCENE_SHARE) / drawn.sum(), np.full(len(scenes.vectors), SCENE_SHARE / len(scenes.vectors))
    )).tolist()  # fmt: skip
    trainer = CaptionerTrainer(captioner, views, tokenizer, weights=weights, batch=options.batch,
                               seed=options.seed + 1)  # fmt: skip
    del pictograms, scenes  # gigabytes that are in `views` as well
    run.train(trainer, stage="captioning", base=_digest(base, tokenizer.to_str()))

    pack = material.pack
    rows, seen = validation_pictograms(image, pack)
    metrics = {}
    for language in LANGUAGES if len(rows) else ():
        wanted = [clean_caption(pack.concepts[index], language) for index in pack.concept[rows]]
        exact = exact_captions(captioner.eval(), tokenizer, seen, wanted, language)
        metrics[f"validation_exact_pictograms_{language}"] = exact
    run.console.print(metrics)
    card = run.card("captioning", "Describes pictograms and scenes in English or Chinese.", directory.space,
                    metrics=metrics, start=start)  # fmt: skip
    write_model_directory(
        options.out / "captioning",
        task="captioning",
        module=captioner,
        config=captioner.config,
        card=card,
        files=[write_tokenizer(options.out / "captioning", tokenizer)],
    )


def _decoder(run: Run, views: Views, begun: Begun | None, base: str) -> tuple[Captioner, Tokenizer]:
    """What is trained, and its tokenizer: from scratch, or begun, with its own vocabulary or with another one."""
    if begun is not None and not run.options.new_vocabulary:
        return begun[0], begun[1]
    vocabulary = VOCABULARY[run.options.preset]
    tokenizer = run.tokenizer("captioning", lambda: caption_tokenizer(views.captions, vocabulary=vocabulary), base=base)
    if begun is None:
        return _new(run, views, tokenizer), tokenizer
    return _with_vocabulary(begun[0], begun[1], tokenizer).to(run.device), tokenizer


def _new(run: Run, views: Views, tokenizer: Tokenizer) -> Captioner:
    """A decoder that knows nothing yet."""
    preset = PRESETS[run.options.preset]
    shape = preset | {
        "longest": max(preset["longest"], longest_caption(tokenizer, views.captions)),
        "memory_tokens": views.tokens.shape[1],
        "token_width": views.tokens.shape[2],
    }
    return Captioner(CaptionerConfig(vocabulary=tokenizer.get_vocab_size(), **shape)).to(run.device)


def _with_vocabulary(captioner: Captioner, old: Tokenizer, new: Tokenizer) -> Captioner:
    """The decoder as it is, but for its rows of tokens."""
    moved = Captioner(replace(captioner.config, vocabulary=new.get_vocab_size()))
    rows = vectors_of_new_tokens(captioner.embedding.weight.detach(), old, new)
    moved.load_state_dict(captioner.state_dict() | {"embedding.weight": rows})
    return moved


def _digest(*names: str) -> str:
    return hashlib.sha256("|".join(names).encode()).hexdigest()[:16]
