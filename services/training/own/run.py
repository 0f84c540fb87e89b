"""What the four trainings on one's own pictures share: reading, splitting, the loop around a trainer, and writing."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from services.training.checkpoint import Progress
from services.training.data.entries import LANGUAGE
from services.training.data.own_pictures import OwnPictures, read_own_pictures, write_skipped
from services.training.data.views import Augmentation
from services.training.early_stopping import Validation
from services.training.export import Card, ModelConfig, write_model_directory
from services.training.loop import Budget, Conditions, Trainer, train
from services.training.models import SHIPPED, shipped
from services.training.optimisation import Optimisation
from services.training.own.batches import Batches
from services.training.own.options import FREE, Options, flag
from services.training.processes import Processes, joined_processes
from shared.errors import ConfigurationError
from shared.inference.allocator import keep_freed_memory
from shared.inference.model_directory import FILE_NAME, sha256_of
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime

PARTNERS = {"text": "classification", "captioning": "classification", "generation": "text"}
"""By task, the shipped model that it learns to work with unless another is named; a classifier needs none."""


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """One training command, its options resolved."""

    task: str
    options: Options
    processes: Processes
    device: torch.device
    dtype: torch.dtype
    console: Console
    augmentation: Augmentation

    @property
    def start(self) -> Path | None:
        """The model directory to fine-tune, None from scratch."""
        if self.options.start is None:
            return None
        return shipped(self.task) if self.options.start == SHIPPED else Path(self.options.start)

    @property
    def preset(self) -> str:
        """The size of a model from scratch."""
        return self.options.preset or "base"

    @property
    def partner(self) -> Path:
        """The model directory of the frozen model that a task of PARTNERS needs."""
        return self.options.partner or shipped(PARTNERS[self.task])

    def read(self, side: int, *, needs: str) -> OwnPictures:
        """The user's data. Raises ConfigurationError when nothing in it can be used."""
        options = self.options
        with self.console.status(f"reading {options.data}"):
            return read_own_pictures(options.data, side, needs=needs, language=options.language)

    def tell(self, data: OwnPictures) -> None:
        """Says what there is, and lists what was skipped in a file.

        Raises ConfigurationError unless all processes read the same.
        """
        options = self.options
        self.processes.require_equal(data.fingerprint(), f"{options.data}: what of it can be used")
        if self.processes.leads:
            listed = options.folder / "skipped.csv"
            write_skipped(data.skipped, listed)
            told = f"{len(data.skipped)} skipped, listed in {listed}" if data.skipped else "none skipped"
            self.console.print(
                f"{self.task}: {len(data.picture)} entries of {len(data.pixels)} pictures, {told}; "
                f"{self.device}, {self.processes.count} process(es), seed {options.seed}",
                soft_wrap=True,
            )

    def split(
        self, data: OwnPictures, among: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on and rows to measure on, of those `among` or of all.

        Raises ConfigurationError when none is left to train on.
        """
        rows = np.arange(len(data.entries)) if among is None else among
        held_out = data.held_out(self.options.validation, rows)
        if held_out.all():
            raise ConfigurationError(
                f"{self.options.data}: has {len({data.digests[row] for row in rows})} different pictures; "
                f"--validation {self.options.validation:g} leaves none to train on"
            )
        return rows[~held_out], rows[held_out]

    def optimisation(self, learning_rate: float) -> Optimisation:
        """As the options say; `learning_rate` where they say none, twenty times as much for SGD."""
        options = self.options
        usual = learning_rate * (20 if options.optimiser == "sgd" else 1)
        return Optimisation(
            kind=options.optimiser,
            learning_rate=usual if options.learning_rate is None else options.learning_rate,
            weight_decay=options.weight_decay,
            schedule=options.schedule,
            warmup=options.warmup,
        )

    def batches(self, data: OwnPictures, rows: NDArray[np.int64]) -> Batches:
        """Batches of these rows. Raises ConfigurationError where processes cannot share them."""
        return Batches(
            data,
            rows,
            batch=self.options.batch,
            augmentation=self.augmentation,
            seed=self.options.seed,
            processes=self.processes,
            device=self.device,
        )

    def train(
        self,
        trainer: Trainer,
        data: OwnPictures,
        *,
        space: str = "",
        measure: Callable[[], Mapping[str, float]] | None = None,
        metric: str = "loss",
        folder: Path | None = None,
        fixed: Mapping[str, object] | None = None,
    ) -> Progress:
        """Trains until the budget is used, or the metric, lower is better, stops falling.

        `fixed` is what else a checkpoint must agree in, by option.
        """
        options = self.options
        validation = None
        if measure is not None:
            validation = Validation(
                measure=measure, metric=metric, higher_is_better=False, every=options.every, patience=options.patience
            )
        elif options.patience is not None:
            raise ConfigurationError(f"--patience {options.patience}: --validation 0 leaves nothing to measure on")
        work = folder or options.folder
        conditions = Conditions(
            resume=options.resume,
            space=space,
            options=self._fixed(data) | dict(fixed or {}),
            validation=validation,
            logs=work / "tensorboard",
            processes=self.processes,
        )
        return train(trainer, Budget(steps=options.steps, minutes=options.minutes), work, self.console, conditions)

    def write(
        self,
        module: nn.Module,
        config: ModelConfig,
        *,
        space: str,
        description: str,
        data: OwnPictures,
        rows: NDArray[np.int64],
        progress: Progress,
        metrics: Mapping[str, float],
        serving: Mapping[str, object] | None = None,
        files: Sequence[Callable[[Path], str]] = (),
    ) -> None:
        """Writes the model directory; only the leading process does. `files` write what lies beside the weights."""
        if not self.processes.leads:
            return
        options, out = self.options, self.options.out
        training = {
            "command": f"diptych train {self.task}",
            "data": options.data.name,
            "data_fingerprint": data.fingerprint(),
            "pictures": len(set(data.picture[rows].tolist())),
            "held_out_pictures": len(set(data.picture.tolist()) - set(data.picture[rows].tolist())),
            "skipped_entries": len(data.skipped),
            "seed": options.seed,
            "batch": options.batch,
            "steps": progress.step,
            "minutes": round(progress.seconds / 60, 1),
            "torch": torch.__version__,
        }
        if (start := self.start) is not None:
            training["started_from"] = digest_of(start)
        card = Card(
            name=f"{options.name}-{self.task}",
            version="1.0.0",
            space=space,
            description=description,
            licence="unknown",
            training=training,
            metrics={name: round(value, 4) for name, value in metrics.items()},
            serving=serving or {},
            builtin_data=False,
        )
        names = [write(out) for write in files]
        try:
            write_model_directory(out, task=self.task, module=module, config=config, card=card, files=names)
        except ValueError as error:
            raise ConfigurationError(f"training went astray ({error}); try a lower --learning-rate") from None
        values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self.console.print(f"wrote {out} of space {space}  {values}", soft_wrap=True)

    def _fixed(self, data: OwnPictures) -> dict[str, Any]:
        """What a checkpoint must agree in, by option: in all but FREE, and last in what there is to learn from."""
        options, start = self.options, self.start
        partner = self.partner if self.task in PARTNERS else options.partner
        given = {name: value for name, value in vars(options).items() if name not in FREE}
        del given["data"]
        # Models count by what is in them: they may have moved, and another may have come to their place.
        given["start"] = None if start is None else digest_of(start)
        given["partner"] = None if partner is None else digest_of(partner)
        given["preset"] = None if start is not None else self.preset
        named = {flag(type(options), name): value for name, value in given.items()}
        return {"task": self.task, **named, flag(type(options), "data"): data.fingerprint()}


@contextmanager
def started(task: str, options: Options) -> Iterator[OwnRun]:
    """Seeds torch, finds the device and joins other processes. Raises ConfigurationError for options at odds."""
    if options.start is not None and options.preset is not None:
        raise ConfigurationError("--preset is the size of a model from scratch; --from brings its own")
    for name, value in vars(options).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"--{name.replace('_', '-')} {value}: expected a number")
    if not LANGUAGE.fullmatch(options.language):
        raise ConfigurationError(f"--language {options.language}: expected a code such as en or zh-Hant")
    start = shipped(task) if options.start == SHIPPED else options.start and Path(options.start)
    for read in (start, options.partner):
        if read is not None and options.out.resolve() == Path(read).resolve():
            raise ConfigurationError(f"--out {options.out}: would overwrite the model that it learns from")
    for folder in (options.out, options.folder):
        folder.mkdir(parents=True, exist_ok=True)  # where it cannot be made, nobody wants to hear of it after training
    augmentation = Augmentation(noise=options.noise, blur=options.blur, crop=options.crop, colour=options.colour)
    runtime = resolve_runtime(RuntimeOptions(device=options.device, precision=options.precision))
    torch.manual_seed(options.seed)
    keep_freed_memory()
    with joined_processes(runtime.device) as (processes, device):
        console = Console(quiet=not processes.leads)
        yield OwnRun(
            task=task,
            options=options,
            processes=processes,
            device=device,
            dtype=runtime.dtype,
            console=console,
            augmentation=augmentation,
        )


def new_space(name: str, module: nn.Module) -> str:
    """An id that no other training has: of the name and a hash of the weights."""
    digest = hashlib.sha256()
    for tensor in module.state_dict().values():
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return f"{name}-{digest.hexdigest()[:8]}"


def digest_of(folder: Path) -> str:
    """Which model a directory holds. Raises OSError where there is none."""
    return sha256_of(folder / FILE_NAME)[:16]
