"""`diptych train builtin encoders --from`: a text encoder learns more of other words; the joint space stays."""

from __future__ import annotations

import shutil

from services.text.config import TextEncoderConfig
from services.training.builtin.image_directory import measure_encoders
from services.training.builtin.run import Run
from services.training.data.lexicon import read_lexicon
from services.training.encoding.rewording import RewordingTrainer
from services.training.encoding.rewriter import Rewriter
from services.training.encoding.word_layers import confined, with_word_layers
from services.training.export import write_model_directory, write_tokenizer
from services.training.models import read_image_encoder, read_text_encoder, require_same_space


def go_on_with_other_words(run: Run) -> None:
    """The second stage of the encoders alone, on those of --from; the image encoder's directory is copied as it is.

    Raises ConfigurationError where there is no data or no lexicon, ModelDirectoryError where there are no encoders.
    """
    options, material = run.options, run.material
    frozen, tokenizer, start = read_text_encoder(run.start_of("text"), run.device)
    image, partner = read_image_encoder(run.start_of("classification"), run.device)
    space = require_same_space(start, partner)
    rewriter = Rewriter(read_lexicon(options.lexicon), seed=options.seed + 5)
    config = confined(start.config(TextEncoderConfig))
    text = with_word_layers(frozen, config, tokenizer)
    trainer = RewordingTrainer(text, frozen, tokenizer, rewriter, material.pack, material.pool.scenes,
                               batch=2 * options.batch, seed=options.seed + 6)  # fmt: skip
    run.train(trainer, stage="rewording", base=f"{start.digest} {config}")
    trainer.take_average()

    out, metrics = options.out, measure_encoders(run, text.eval(), image, tokenizer).metrics
    card = run.card("text", "English and Chinese words for pictograms and scenes.", space, metrics=metrics, start=start)
    files = [write_tokenizer(out / "text", tokenizer)]
    write_model_directory(out / "text", task="text", module=text, config=config, card=card, files=files)
    shutil.copytree(partner.path, out / "classification", dirs_exist_ok=True)
