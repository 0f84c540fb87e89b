"""`diptych data build`: packages to pack, with progress on a terminal and a summary at the end."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from services.training.data.familiarity import familiar_concepts
from services.training.data.pack import SPLITS, Pack, write_pack
from services.training.data.packages import obtain_packages
from services.training.data.pictograms import build_pack
from services.training.data.scenes.sprites import build_sprites, write_sprites
from services.training.data.sources import PACKAGES, SOURCES

SPRITES_NAME = "sprites.tar"


def build_data(out: Path, cache: Path, console: Console) -> None:
    """Writes the pack and the sprites of scenes into `out`; downloads and pictures read so far are kept in `cache`.

    Raises ConfigurationError when a package cannot be had or is not the pinned one.
    """
    start = time.monotonic()
    node_modules = obtain_packages(PACKAGES, cache, lambda line: console.print(line, soft_wrap=True))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def report(style: str, done: int, total: int) -> None:
            if style not in tasks:
                tasks[style] = progress.add_task(style, total=total)
            progress.update(tasks[style], completed=done)

        pack = build_pack(node_modules, cache, report)
    file = write_pack(pack, out)
    sprites = build_sprites(node_modules, lambda line: console.print(line, soft_wrap=True))
    write_sprites(sprites, out / SPRITES_NAME)
    console.print(_summary(pack))
    held_out = len(set(pack.concept[pack.split == SPLITS.index("test_concept")]))
    english, chinese = (int(familiar_concepts(pack, language).sum()) for language in ("en", "zh"))
    console.print(
        f"of {held_out} held-out concepts, training captions hold all words of {english} English and all characters of "
        f"{chinese} Chinese names",
        soft_wrap=True,
    )
    size, seconds = file.stat().st_size, time.monotonic() - start
    console.print(
        f"{len(pack.pixels)} pictures of {len(pack.concepts)} concepts in {len(pack.styles)} styles: "
        f"{file}, {size / 2**20:.1f} MiB; {len(sprites.sprites)} sprites of scenes: {out / SPRITES_NAME}, "
        f"{(out / SPRITES_NAME).stat().st_size / 2**20:.1f} MiB; {seconds:.0f} seconds",
        soft_wrap=True,
    )


def _summary(pack: Pack) -> Table:
    """Pictures by style and split; the last line counts concepts."""
    table = Table("style", "licence", *SPLITS)
    for number, source in enumerate(SOURCES):
        counts = np.bincount(pack.split[pack.style == number], minlength=len(SPLITS))
        table.add_row(source.style, source.licence, *map(str, counts))
    table.add_section()
    table.add_row("pictures", "", *map(str, np.bincount(pack.split, minlength=len(SPLITS))))
    concepts = [len(set(pack.concept[pack.split == number])) for number in range(len(SPLITS))]
    table.add_row("concepts", "", *map(str, concepts))
    return table
