"""`diptych evaluate`, and `diptych train judge` with it: their options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.training.evaluation.subjects import Subject

JUDGE = Path(__file__).with_name("judge_weights")
"""The judge behind the model cards' figures: committed once it is trained; no service reads it."""
PACK = Path(".data/pictograms")
SPRITES = PACK / "sprites.tar"

PLAIN_COLUMNS = 160

evaluate = typer.Typer(help="Measure models on held-out data, through the predictors that serve them.")


@evaluate.command()
def run(
    subjects: Annotated[list[Subject] | None, typer.Argument(help="What to measure; all of it by default.")] = None,
    models: Annotated[
        Path | None,
        typer.Option("--models", help="Folder with text/, classification/, captioning/ and generation/."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the JSON file and the picture sheets.")] = Path(
        "out/evaluation"
    ),
    samples: Annotated[
        int | None, typer.Option("--samples", min=16, help="At most so many of each kind: a quick look.")
    ] = None,
    data: Annotated[Path, typer.Option("--data", help="Folder of the pictogram pack.")] = PACK,
    sprites: Annotated[Path, typer.Option("--sprites", help="File of the scenes' sprites.")] = SPRITES,
    judge: Annotated[Path, typer.Option("--judge", help="Folder of the judge.")] = JUDGE,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="NAME=DIR: another text encoder of the same space, beside retrieval's figures."),
    ] = None,
    curve: Annotated[
        list[Path] | None,
        typer.Option("--curve", help="An evaluation.json of the same models after fewer steps; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 leaves one CPU free.")] = 0,
) -> None:
    """Measure models on held-out data: a table, OUT/evaluation.json, picture sheets; the last line is one JSON object.

    Without --models the embedded ones. Every figure has its number of samples and a bootstrap interval of 95 %.
    """
    from services.training.evaluation.measure import Evaluation, Sizes
    from services.training.evaluation.measure import evaluate as measure
    from services.training.evaluation.served import load_served, model_directories
    from shared.inference.predictor import RuntimeOptions

    console = wide_console()
    directories, options = model_directories(models), RuntimeOptions(device=device, threads=threads)
    others = {name: load_served({"text": Path(folder)}, options) for name, folder in map(_named, beside or ())}
    evaluation = Evaluation(
        load_served(directories, options),
        data=data, sprites=sprites, judge=judge, out=out, sizes=Sizes.at_most(samples), console=console, others=others,
    )  # fmt: skip
    result = measure(evaluation, subjects or list(Subject), directories, out, console, curve or ())
    typer.echo(json.dumps(result, ensure_ascii=False))


def _named(text: str) -> tuple[str, str]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise typer.BadParameter(f"expected NAME=DIR, found {text}", param_hint="--beside")
    return name, folder


def wide_console() -> Console:
    """As wide as the terminal; in a file or a pipe wide enough for the table."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_COLUMNS)


def judge(
    data: Annotated[Path, typer.Option("--data", help="Folder of the pictogram pack.")] = PACK,
    sprites: Annotated[Path, typer.Option("--sprites", help="File of the scenes' sprites.")] = SPRITES,
    out: Annotated[Path, typer.Option("--out", help="Folder for the judge.")] = Path("out/judge"),
    checkpoints: Annotated[Path, typer.Option("--checkpoints", help="Its checkpoint is in a folder below.")] = Path(
        ".checkpoints"
    ),
    minutes: Annotated[float, typer.Option("--minutes", help="Stop after so many minutes of training.")] = 25,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Pictures a step, half of them scenes.")] = 128,
    pool: Annotated[int, typer.Option("--pool", min=1, help="Scenes kept for drawing.")] = 8192,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights and of data order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the checkpoint if there is one.")
    ] = True,
) -> None:
    """Train the judge that `diptych evaluate` scores painted pictures with: on real pictures alone."""
    from services.training.evaluation.judge_recipe import train_judge

    train_judge(data=data, sprites_file=sprites, out=out, checkpoints=checkpoints, minutes=minutes, steps=steps,
                batch=batch, pool=pool, seed=seed, resume=resume, console=Console())  # fmt: skip
