"""One command `diptych train builtin ...`: its options resolved, its stages trained, its model described."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from tokenizers import Tokenizer
from torch import nn

from services.training.builtin.material import Material
from services.training.checkpoint import Progress, space_of_checkpoint
from services.training.export import Card
from services.training.loop import Budget, Conditions, Trainer, train
from services.training.models import SHIPPED, shipped, training_of
from shared.cpus import available_cpus
from shared.errors import ConfigurationError
from shared.inference.allocator import keep_freed_memory
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime

VERSION = "3.2.0"


@dataclass(frozen=True, kw_only=True)
class BuiltinOptions:
    """What all commands take."""

    data: Path
    lexicon: Path
    scenes: Path
    scene_count: int
    out: Path
    checkpoints: Path
    minutes: float
    steps: int | None
    batch: int
    preset: str
    device: str
    seed: int
    resume: bool
    start: str | None = None
    """Folder of the model directories to go on from, one a task, or SHIPPED; None from scratch."""
    teachers: bool = True
    """Whether a student learns words and other wordings too, or captions alone."""
    new_vocabulary: bool = False
    """Whether a decoder that goes on gets tokens anew."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A command under way."""

    name: str
    options: BuiltinOptions
    material: Material
    device: torch.device
    console: Console
    progress: dict[str, Progress] = field(default_factory=dict)
    """By stage, as far as it has come."""

    @staticmethod
    def start(name: str, options: BuiltinOptions, presets: Collection[str] = ("scenes", "tiny")) -> Run:
        """Seeds torch, finds the device, and has freed memory kept.

        Raises ConfigurationError where there is no such preset or device, or no data.
        """
        if options.preset not in presets:
            raise ConfigurationError(f"--preset {options.preset}: expected one of {', '.join(presets)}")
        if options.start is not None and Path(options.start).resolve() == options.out.resolve():
            raise ConfigurationError(f"--from {options.start}: is --out as well, and would be written over")
        console = Console()
        runtime = resolve_runtime(RuntimeOptions(device=options.device, threads=available_cpus()))
        torch.manual_seed(options.seed)
        keep_freed_memory()
        workers = max(1, (os.cpu_count() or 1) - 1)
        material = Material(folder=options.data, scenes=options.scenes, scene_count=options.scene_count,
                            workers=workers, console=console)  # fmt: skip
        console.print(f"{name}: {int(material.pack.train.sum())} pictograms, {runtime}, seed {options.seed}")
        return Run(name=name, options=options, material=material, device=runtime.device, console=console)

    def start_of(self, task: str) -> Path:
        """The directory of the model of `task` that --from names."""
        if (start := self.options.start) is None:
            raise ValueError("this run goes on from no model")
        return shipped(task) if start == SHIPPED else Path(start) / task

    def train(self, trainer: Trainer, *, stage: str, share: float = 1.0, base: str = "") -> None:
        """Trains for `share` of the budget, with a checkpoint folder of its own.

        base: a name of all that the stage builds on. Where that is not what it was, the stage begins anew: weights that
        fit other ones would be put over them. What goes on from a model has folders apart from what began from scratch.
        """
        options = self.options
        folder = self._folder(stage)
        steps = None if options.steps is None else max(1, round(options.steps * share))
        budget = Budget(steps=steps, minutes=options.minutes * share)
        resume = options.resume
        if resume and (found := space_of_checkpoint(folder)) is not None and found != base:
            self.console.print(f"{stage} begins anew: what it builds on has changed")
            resume = False
        fixed = {"--seed": options.seed, "--preset": options.preset, "--batch": options.batch}
        conditions = Conditions(resume=resume, space=base, options=fixed)
        self.progress[stage] = train(trainer, budget, folder, self.console, conditions)

    def tokenizer(self, stage: str, make: Callable[[], Tokenizer], *, base: str = "") -> Tokenizer:
        """The stage's, kept beside its checkpoint: weights that have begun with one are worth nothing with another.

        base: a name of what the stage builds on, as for `train`: each has a tokenizer of its own.
        """
        file = self._folder(stage) / f"tokenizer{'-' if base else ''}{base}.json"
        if self.options.resume and file.exists():
            return Tokenizer.from_file(str(file))
        made = make()
        file.parent.mkdir(parents=True, exist_ok=True)
        made.save(str(file), pretty=False)
        return made

    def _folder(self, stage: str) -> Path:
        """Of a stage's checkpoints."""
        return self.options.checkpoints / (stage if self.options.start is None else f"{stage}-further")

    def _command(self) -> str:
        options = self.options
        budget = f"--minutes {options.minutes:g}" if options.steps is None else f"--steps {options.steps}"
        words = [f"diptych train builtin {self.name}"]
        words += [budget, f"--batch {options.batch}"] if self.progress else []  # what is fitted at once has none
        words += [f"--seed {options.seed}"]
        words += [f"--from {options.start}"] if options.start is not None else []
        # What goes on from a model has its shape, but for an image encoder, which is another one, and a new vocabulary.
        shaped = options.start is None or self.name == "classification" or options.new_vocabulary
        words += [f"--preset {options.preset}"] if shaped else []
        words += [f"--scene-count {options.scene_count}"] if self.progress else []
        words += ["--new-vocabulary"] if options.new_vocabulary else []
        return " ".join([*words, *([] if options.teachers else ["--no-teachers"])])

    def card(
        self,
        task: str,
        description: str,
        space: str,
        *,
        metrics: Mapping[str, float],
        serving: Mapping[str, object] | None = None,
        start: ModelDirectory | None = None,
        more: Mapping[str, object] | None = None,
    ) -> Card:
        """What model.toml says of a model that this run trained, and `more` of its training.

        Of one that went on from `start`, steps and minutes are all that it had since scratch.
        """
        before = {} if start is None else training_of(start)
        begun = {} if start is None else {"started_from": start.digest[:16], "started_at_step": before.get("steps", 0)}
        options, pack = self.options, self.material.pack
        stages = self.progress if len(self.progress) > 1 else {}
        training = {
            "command": self._command(),
            "data": "pictograms, scenes",
            "pictograms": int(pack.train.sum()),
            "concepts": len(pack.concepts),
            "scenes": options.scene_count,
            "seed": options.seed,
            "steps": before.get("steps", 0) + sum(one.step for one in self.progress.values()),
            **{f"steps_{stage}": one.step for stage, one in stages.items()},
            "minutes": round(before.get("minutes", 0) + sum(one.seconds for one in self.progress.values()) / 60, 1),
            **begun,
            **(more or {}),
            "commit": _commit(),
            "torch": torch.__version__,
        }
        return Card(name=f"pictures-{task}", version=VERSION, space=space, description=description,
                    training=training, metrics=metrics, serving=serving or {})  # fmt: skip


def digest_of(module: nn.Module, *more: str) -> str:
    """A name for the weights of a module, and for whatever `more` names."""
    digest = hashlib.sha256("|".join(more).encode())
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().numpy().tobytes())  # in the order of the shape, however it lies in memory
    return digest.hexdigest()[:16]


def _commit() -> str:
    """The commit that trains, `unknown` outside a checkout."""
    command = ["git", "-C", os.fspath(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
