"""The options of training on one's own pictures: one definition for the commands and for what they call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import typer

Preset = Literal["small", "base", "large", "tiny"]
Optimiser = Literal["adamw", "sgd"]
Schedule = Literal["cosine", "step"]
Precision = Literal["auto", "fp32", "bf16"]

FREE = {
    **dict.fromkeys(("out", "name"), "only name what is made"),
    **dict.fromkeys(("work", "resume"), "say which checkpoint it is, if any"),
    **dict.fromkeys(("minutes", "steps", "patience"), "say when to stop: a training may be made longer"),
    **dict.fromkeys(("device", "precision"), "say where it runs, and with which rounding: it may move to a GPU"),
    "folds": "each fold has a checkpoint of its own, which knows its folds",
}
"""Options that may be others when a training goes on, and why; a checkpoint keeps to all that are not here."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What all four commands take."""

    data: Annotated[
        Path,
        typer.Option("--data", help="JSON lines or CSV of image, caption, label, language; or WebDataset .tar files."),
    ]
    out: Annotated[Path, typer.Option("--out", help="The model directory to write.")]
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="DIR|shipped", help="Fine-tune this model; from scratch if absent."),
    ] = None
    partner: Annotated[
        Path | None, typer.Option("--with", help="The frozen model it learns to work with; the shipped one if absent.")
    ] = None
    preset: Annotated[Preset | None, typer.Option("--preset", help="Size from scratch; base if absent.")] = None
    name: Annotated[str, typer.Option("--name", help="What model.toml calls it.")] = "own"
    language: Annotated[str, typer.Option("--language", help="Of entries that name none: en, zh, ...")] = "en"
    minutes: Annotated[float, typer.Option("--minutes", min=0.001, help="Stop after so many minutes of training.")] = 10
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps instead.")] = None
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures a step, of all processes together.")] = 32
    optimiser: Annotated[Optimiser, typer.Option("--optimiser")] = "adamw"
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", min=0, help="At the peak; one that suits the task if absent.")
    ] = None
    schedule: Annotated[Schedule, typer.Option("--schedule", help="How the learning rate falls.")] = "cosine"
    warmup: Annotated[float, typer.Option("--warmup", min=0, max=0.5, help="Share of the budget to warm up in.")] = 0.02
    weight_decay: Annotated[float, typer.Option("--weight-decay", min=0)] = 0.02
    dropout: Annotated[float, typer.Option("--dropout", min=0, max=0.9, help="Share of activations left out.")] = 0.0
    noise: Annotated[float, typer.Option("--noise", help="Largest deviation of noise, where white is 1.")] = 0.02
    blur: Annotated[float, typer.Option("--blur", help="Largest deviation of blur, in pixels of the model.")] = 0.5
    crop: Annotated[float, typer.Option("--crop", help="Largest share of the side to cut away.")] = 0.1
    colour: Annotated[float, typer.Option("--colour", help="Largest change of light, contrast, saturation.")] = 0.1
    validation: Annotated[
        float,
        typer.Option("--validation", min=0, max=0.9, help="Share of the pictures to measure on, not to train on."),
    ] = 0.1
    every: Annotated[int, typer.Option("--validate-every", min=1, help="Steps between measurements.")] = 25
    patience: Annotated[
        int | None, typer.Option("--patience", min=1, help="Stop after so many measurements that are no better.")
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Of weights, order and views.")] = 0
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto"
    precision: Annotated[Precision, typer.Option("--precision", help="auto is bf16 where it is fast.")] = "auto"
    resume: Annotated[bool, typer.Option("--resume/--restart", help="Go on from the checkpoint if there is one.")] = (
        True
    )
    work: Annotated[
        Path | None, typer.Option("--work", help="Folder for checkpoint, logs and lists; OUT.training if absent.")
    ] = None

    @property
    def folder(self) -> Path:
        """Where everything goes that is not the model."""
        return self.work or self.out.with_name(f"{self.out.name}.training")


@dataclass(frozen=True, kw_only=True)
class TextOptions(Options):
    """Of `diptych train text`."""


@dataclass(frozen=True, kw_only=True)
class ClassificationOptions(Options):
    """Of `diptych train classification`."""

    partner: Annotated[
        Path | None,
        typer.Option(
            "--with", help="A frozen text encoder, to learn from captions beside labels where all is trained."
        ),
    ] = None
    tune: Annotated[
        Literal["head", "all"],
        typer.Option("--tune", help="With --from: the head alone, which keeps the joint space, or all, a new one."),
    ] = "head"
    folds: Annotated[
        int | None, typer.Option("--folds", min=2, help="First measure by cross-validation in so many parts.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class CaptioningOptions(Options):
    """Of `diptych train captioning`."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(Options):
    """Of `diptych train generation`. It paints what it is shown: views that differ would teach it to differ."""

    noise: Annotated[float, typer.Option("--noise", help="Largest deviation of noise, where white is 1.")] = 0.0
    blur: Annotated[float, typer.Option("--blur", help="Largest deviation of blur, in pixels of the model.")] = 0.0
    crop: Annotated[float, typer.Option("--crop", help="Largest share of the side to cut away.")] = 0.0
    colour: Annotated[float, typer.Option("--colour", help="Largest change of light, contrast, saturation.")] = 0.0


def flag(kind: type[Options], name: str) -> str:
    """What the command line calls a field of `kind`: `--from` of `start`."""
    (option,) = get_type_hints(kind, include_extras=True)[name].__metadata__
    named = (option.default, *(option.param_decls or ()))  # typer takes the first name for a default
    return str(next(each for each in named if str(each).startswith("--"))).split("/")[0]
