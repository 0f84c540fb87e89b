"""Trains the image encoder's head, or all of it, to name the labels of the user's own pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from services.classification.config import PRESETS, ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.checkpoint import Progress
from services.training.data.meanings import LANGUAGES
from services.training.data.own_pictures import OwnPictures
from services.training.depthwise import learn_depthwise_fast
from services.training.dropout import add_dropout
from services.training.export import json_lines
from services.training.losses import contrastive_loss
from services.training.models import read_image_encoder, read_text_encoder
from services.training.own.batches import Batch, pixels, same_meaning
from services.training.own.cross_validation import cross_validate
from services.training.own.options import ClassificationOptions
from services.training.own.run import OwnRun, new_space, started
from services.training.own.texts import encode_texts
from services.training.own.trainer import ObjectiveTrainer
from services.training.processes import Processes
from shared.errors import ConfigurationError
from shared.inference.model_directory import ModelDirectory
from shared.inference.runtime import channels_last

LABEL_SMOOTHING = 0.05
CHUNK = 128
RATES = {"scratch": 1.5e-3, "all": 2e-4, "head": 3e-3}


class LabelObjective(nn.Module):
    """Cross-entropy of the labels, on top of the frozen encoder or through it; contrast with captions where given."""

    def __init__(
        self,
        image: ImageEncoder,
        data: OwnPictures,
        targets: Tensor,
        *,
        whole: bool,
        captions: Tensor | None = None,
        processes: Processes | None = None,
    ) -> None:
        super().__init__()
        self.image, self._data, self._targets, self._whole = image, data, targets, whole
        self._captions, self._processes = captions, processes or Processes()
        for name, parameter in image.named_parameters():
            # No label says what a token should be: tokens stay a fixed view of the features that are trained.
            trained = whole and not name.startswith("to_tokens")
            parameter.requires_grad_(trained or name in ("concepts", "log_scale"))

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        with torch.set_grad_enabled(self._whole):
            vectors = self.image(batch.pictures).vectors
        logits, targets = self.image.score(vectors), self._targets[batch.rows]
        losses = {"labels": functional.cross_entropy(logits, targets, label_smoothing=LABEL_SMOOTHING)}
        if self._captions is not None:
            matches = same_meaning(self._data, batch.step_rows, vectors.device)
            texts, scale = self._captions[batch.step_rows], self.image.log_scale.exp()
            losses["captions"] = contrastive_loss(texts, self._processes.rows(vectors), matches, scale)
        return losses

    def learn(self) -> None:
        """Training mode; batch norm keeps the statistics that a trained encoder came with."""
        self.train(self._whole)


@dataclass(frozen=True, kw_only=True)
class Classifying:
    """What all trainings of one command have in common, those of the folds among them."""

    run: OwnRun
    options: ClassificationOptions
    data: OwnPictures
    labels: tuple[str, ...]
    source: tuple[ImageEncoder, ModelDirectory] | None

    @property
    def whole(self) -> bool:
        """Whether the encoder is trained, not just its head."""
        return self.source is None or self.options.tune == "all"

    @property
    def config(self) -> ImageEncoderConfig:
        """The shape to train."""
        if self.source is not None:
            return replace(self.source[1].config(ImageEncoderConfig), concepts=len(self.labels), heads={})
        return ImageEncoderConfig(concepts=len(self.labels), **PRESETS[self.run.preset])

    @property
    def targets(self) -> Tensor:
        """(N,) the place of each row's label."""
        return torch.tensor([self.labels.index(label) for label in self.data.labels], device=self.run.device)

    def train(
        self, rows: NDArray[np.int64], held_out: NDArray[np.int64], *, fold: int | None = None
    ) -> tuple[ImageEncoder, Progress]:
        """A classifier trained on `rows` from the command's start; `fold` is the one that it shall judge, if any."""
        run = self.run
        torch.manual_seed(self.options.seed)
        image = self._start(rows)
        if run.device.type == "cpu":
            learn_depthwise_fast(image)
        captions = self._captions()
        objective = LabelObjective(
            image, self.data, self.targets, whole=self.whole, captions=captions, processes=run.processes
        )
        add_dropout(image, self.options.dropout)
        rate = RATES["scratch" if self.source is None else self.options.tune]
        trainer = ObjectiveTrainer(
            objective,
            run.batches(self.data, rows),
            run.optimisation(rate),
            run.processes,
            dtype=run.dtype,
            mode=objective.learn if self.source is None else objective.eval,
        )
        measure = partial(self.measure, image, held_out) if len(held_out) else None
        # A checkpoint of a fold of other folds has seen pictures that this one shall be judged on.
        fixed = {} if fold is None else {"--folds": self.options.folds}
        folder = None if fold is None else self.options.folder / f"fold-{fold}"
        progress = run.train(trainer, self.data, measure=measure, folder=folder, fixed=fixed)
        return image.eval(), progress

    def predict(self, image: ImageEncoder, rows: NDArray[np.int64]) -> Tensor:
        """(n, C) float32 logits of these rows' pictures, as they are."""
        image.eval()
        with torch.inference_mode():
            parts = [rows[start : start + CHUNK].tolist() for start in range(0, len(rows), CHUNK)]
            return torch.cat([image(pixels(self.data, part, self.run.device)).logits for part in parts])

    def measure(self, image: ImageEncoder, rows: NDArray[np.int64]) -> dict[str, float]:
        """Cross-entropy and accuracy on `rows`."""
        logits, targets = self.predict(image, rows), self.targets[torch.from_numpy(rows)]
        return {
            "loss": functional.cross_entropy(logits, targets).item(),
            "top1": (logits.argmax(dim=1) == targets).float().mean().item(),
        }

    def _start(self, rows: NDArray[np.int64]) -> ImageEncoder:
        if self.source is None:
            return channels_last(ImageEncoder(self.config).to(self.run.device))
        image = channels_last(ImageEncoder(self.config).to(self.run.device)).eval()
        known = image.state_dict().keys() - {"concepts"}  # less the further heads, whose labels are not the user's
        weights = {name: value for name, value in self.source[0].state_dict().items() if name in known}
        image.load_state_dict(weights, strict=False)
        image.concepts.data.copy_(self._imprinted(image, rows))
        return image

    def _imprinted(self, image: ImageEncoder, rows: NDArray[np.int64]) -> Tensor:
        """(C, V) the mean vector of each label's pictures to start from (Qi et al. 2018, arXiv:1712.07136, eq. 3)."""
        parts = [rows[start : start + CHUNK].tolist() for start in range(0, len(rows), CHUNK)]
        with torch.no_grad():
            vectors = torch.cat([image(pixels(self.data, part, self.run.device)).vectors for part in parts])
            sums = torch.zeros(len(self.labels), vectors.shape[1], device=vectors.device)
            sums.index_add_(0, self.targets[torch.from_numpy(rows)], vectors)
        seen = sums.norm(dim=1, keepdim=True) > 0
        return torch.where(seen, functional.normalize(sums, dim=1), functional.normalize(torch.randn_like(sums), dim=1))

    def _captions(self) -> Tensor | None:
        """(N, V) the frozen text encoder's vectors of all captions, if `--with` names one."""
        if self.options.partner is None:
            return None
        if not self.whole:
            raise ConfigurationError("--with is a text encoder to train all of the encoder on; --tune head trains none")
        if missing := sum(not caption for caption in self.data.captions):
            raise ConfigurationError(f"{self.options.data}: {missing} entries have no caption, which --with needs")
        text, tokenizer, directory = read_text_encoder(self.options.partner, self.run.device)
        vectors = encode_texts(text, tokenizer, self.data.captions)
        if vectors.shape[1] != self.config.space_width:
            found = f"its space has {vectors.shape[1]} numbers, the model's {self.config.space_width}"
            raise ConfigurationError(f"--with {directory.path}: {found}")
        return vectors


def train_classification(options: ClassificationOptions) -> None:
    """Trains and writes a classifier, cross-validated first where asked. Raises ConfigurationError."""
    with started("classification", options) as run:
        source = read_image_encoder(run.start, run.device) if run.start is not None else None
        side = source[0].pixels if source else PRESETS[run.preset]["pixels"]
        assert isinstance(side, int)
        data = run.read(side, needs="label")
        run.tell(data)
        labels = tuple(sorted(set(data.labels)))
        if len(labels) < 2:
            raise ConfigurationError(f"{options.data}: all entries have the label {labels[0]!r}; two are needed")
        task = Classifying(run=run, options=options, data=data, labels=labels, source=source)
        metrics = _folds(task, options.folds) if options.folds is not None else {}
        rows, held_out = run.split(data)
        image, progress = task.train(rows, held_out)
        if len(held_out):
            metrics |= {f"validation_{name}": value for name, value in task.measure(image, held_out).items()}
        directory = source[1] if source is not None else None
        languages = list(
            dict.fromkeys([*(directory.languages if directory else LANGUAGES), *sorted(set(data.languages))])
        )
        run.write(
            image,
            task.config,
            space=directory.space if directory is not None and not task.whole else new_space(options.name, image),
            description=f"Names {len(labels)} labels of {options.data.name}.",
            data=data,
            rows=rows,
            progress=progress,
            metrics=metrics,
            serving={"languages": languages, "zero_shot_scale": _zero_shot_scale(task, image)},
            files=[partial(_write_labels, labels=labels, languages=languages)],
        )


def _folds(task: Classifying, count: int) -> dict[str, float]:
    def predicted(rows: NDArray[np.int64], others: NDArray[np.int64], fold: int) -> NDArray[np.int64]:
        # Validation is of the others too: what is judged may not choose the weights that it is judged by.
        image, _ = task.train(*task.run.split(task.data, others), fold=fold)
        return task.predict(image, rows).argmax(dim=1).cpu().numpy()

    return cross_validate(task.run, task.data, task.labels, count, predicted)


def _zero_shot_scale(task: Classifying, image: ImageEncoder) -> float:
    """That of the model it started from while its vectors are the same; the head's otherwise."""
    if task.source is None or task.whole:
        return round(image.log_scale.exp().item(), 3)
    return task.source[1].zero_shot_scale or round(task.source[0].log_scale.exp().item(), 3)


def _write_labels(folder: Path, *, labels: Sequence[str], languages: Sequence[str]) -> str:
    """labels.json: each label is its own id, and its name in every language."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [{"id": label, **dict.fromkeys(languages, label)} for label in labels]
    (folder / "labels.json").write_text(f"{json_lines(entries)}\n", "utf-8")
    return "labels.json"
