"""`diptych train builtin student`: another text encoder for the joint space of the one in OUT."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.builtin.measuring import encode_captions
from services.training.builtin.run import Run
from services.training.data.lexicon import read_lexicon
from services.training.encoding.student import StudentTrainer, TrainingTexts
from services.training.encoding.word_lessons import WordLessons
from services.training.export import write_model_directory, write_tokenizer
from services.training.models import read_text_encoder

CHECK_TEXTS = 2000


def train_student(run: Run) -> None:
    """Trains it on what the text encoder in OUT says of training texts.

    Writes OUT/text-<preset>, or OUT/text-<preset>-captions where it learns from captions alone.

    Raises ConfigurationError and ModelDirectoryError where there is no data, no lexicon, or no text encoder in OUT.
    """
    options, material = run.options, run.material
    teacher, tokenizer, directory = read_text_encoder(options.out / "text", run.device)
    shape = {**PRESETS[options.preset], "space_width": teacher.projection.out_features}
    config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **shape)
    student = TextEncoder(config).to(run.device)
    lessons = WordLessons(read_lexicon(options.lexicon), seed=options.seed + 1) if options.teachers else None
    texts = TrainingTexts(material.pack, material.pool.scenes, lessons, seed=options.seed + 2)

    def teach(some: Sequence[str]) -> Tensor:
        with torch.autocast(run.device.type, dtype=torch.bfloat16):
            return encode_captions(teacher, tokenizer, some).clone()

    trainer = StudentTrainer(student, tokenizer, teach, texts, batch=options.batch)
    name = options.preset if options.teachers else f"{options.preset}-captions"
    run.train(trainer, stage=f"student-{name}", base=directory.digest)
    trainer.take_average()
    others = texts.draw(CHECK_TEXTS)
    cosine = functional.cosine_similarity(
        encode_captions(student.eval(), tokenizer, others), encode_captions(teacher, tokenizer, others)
    )
    out = options.out / f"text-{name}"
    card = run.card("text", f"The text encoder of {directory.space} again, in other layers.", directory.space,
                    metrics={"training_texts_cosine_to_teacher": round(cosine.mean().item(), 4)})  # fmt: skip
    write_model_directory(
        out, task="text", module=student, config=config, card=card, files=[write_tokenizer(out, tokenizer)]
    )
