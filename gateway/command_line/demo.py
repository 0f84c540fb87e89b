"""`diptych demo`: starts everything, paints a dozen prompts, describes the pictures in two languages, stops."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from gateway.client import AsyncDiptych
from gateway.client.files import read_picture
from gateway.client.results import Stage
from gateway.command_line.console import ExitCode, cell, one_line, output
from gateway.command_line.inputs import FIELD
from gateway.command_line.local import GATEWAY, MODULES, LocalPlatform, choose_ports
from gateway.command_line.pictures import (
    SHEET,
    file_name,
    make_folder,
    told_captions,
    told_labels,
    write_picture,
    write_sheet,
)
from gateway.command_line.up import line_printer, model_directories, show_start
from shared.errors import CallError

RAINBOW = "a black cat and a blue tulip on the grass under a rainbow"
TURTLE = "一只乌龟在一只老虎的左边"
PROMPTS = (
    *("strawberry", "a black cat", "一只黑猫", "一辆汽车", "pizza", "a house"),
    *(RAINBOW, TURTLE, "two yellow birds in the snow"),
    *("沙滩上有一只狗", "a red car on the street", "a fish underwater"),
)
"""Things by themselves, then scenes."""
VARIED_PROMPTS = ("strawberry", RAINBOW, TURTLE)
"""These are painted with further seeds, to show what a seed changes."""
SEED = 1
VARIATIONS = 3
LANGUAGES = ("en", "zh")
COLUMNS = 6
LABELS = 3
TIMEOUT_SECONDS = 60.0


@dataclass(kw_only=True)
class Exhibit:
    """A picture and what became of it; an error ends its way."""

    path: Path
    prompt: str = ""
    seed: int | None = None
    captions: list[str] = field(default_factory=list)
    labels: str = ""
    painted: str = ""
    """Milliseconds of the call that painted it."""
    described: str = ""
    """Milliseconds of the last call that described it."""
    error: str = ""


async def demo(
    folder: Path,
    images: Sequence[Path],
    *,
    environment: Mapping[str, str],
    models: Path | None = None,
    modules: Mapping[str, tuple[str, ...]] = MODULES,
) -> ExitCode:
    """Writes pictures and one contact sheet to `folder` and prints what Diptych says of them, and of `images`.

    Returns:
        FAILED if any picture could not be painted or described.

    Raises:
        ConfigurationError: `folder` cannot be written, or `models` holds none.
        ProcessFailedError: a server cannot be kept running.
    """
    console = output()
    logs = make_folder(folder / "logs")
    platform = LocalPlatform(
        ports=choose_ports(0),
        log_directory=logs,
        # On a busy machine a service may be slow to be seen; nobody here is helped by an early UNAVAILABLE.
        environment={"DIPTYCH_REPLICA_WAIT_SECONDS": "10", **environment},
        models=model_directories(models),
        on_line=lambda name, line: None,
        on_event=line_printer(console),
        modules=modules,
    )
    console.print(cell(f"starting five servers on free ports; their logs: {logs}"), soft_wrap=True)
    async with platform:
        await platform.run(show_start(platform, console))
        exhibits = await platform.run(_exhibit(platform.addresses[GATEWAY], folder, images, console))
        console.print("stopping")
    failed = sum(bool(exhibit.error) for exhibit in exhibits)
    console.print(_table(exhibits))
    console.print(f"{len(exhibits) - failed} of {len(exhibits)} pictures done", highlight=False)
    console.print(cell(f"all on one sheet: {folder / SHEET}"), soft_wrap=True)
    return ExitCode.FAILED if failed else ExitCode.OK


async def _exhibit(address: str, folder: Path, images: Sequence[Path], console: Console) -> list[Exhibit]:
    wanted = [(prompt, [SEED]) for prompt in PROMPTS]
    wanted += [(prompt, list(range(SEED + 1, SEED + 1 + VARIATIONS))) for prompt in VARIED_PROMPTS]
    exhibits: list[Exhibit] = []
    async with AsyncDiptych(address, timeout=TIMEOUT_SECONDS) as diptych:
        for prompt, seeds in track(wanted, "painting", console=console):
            exhibits += await _paint(diptych, prompt, seeds, folder)
        _write_sheet([exhibit for exhibit in exhibits if not exhibit.error], folder / SHEET)
        exhibits += [Exhibit(path=path) for path in images]
        for exhibit in track([each for each in exhibits if not each.error], "describing", console=console):
            await _describe(diptych, exhibit)
    return exhibits


async def _paint(diptych: AsyncDiptych, prompt: str, seeds: Sequence[int], folder: Path) -> list[Exhibit]:
    exhibits = [Exhibit(path=folder / file_name(prompt, seed), prompt=prompt, seed=seed) for seed in seeds]
    begin = time.perf_counter()
    try:
        painted = await diptych.text_to_image(prompt, seeds=seeds)
    except CallError as error:
        for exhibit in exhibits:
            exhibit.error = one_line(error)
        return exhibits
    told_time = _told_time(begin, painted[0].stages)
    for exhibit, picture in zip(exhibits, painted, strict=True):
        write_picture(exhibit.path, picture.data)
        exhibit.painted = told_time
    return exhibits


async def _describe(diptych: AsyncDiptych, exhibit: Exhibit) -> None:
    try:
        image = await asyncio.to_thread(read_picture, exhibit.path, FIELD)
        for language in LANGUAGES:
            begin = time.perf_counter()
            [said] = await diptych.image_to_text(image, language=language, top_k=LABELS)
            exhibit.described = _told_time(begin, said.stages)
            exhibit.captions.append(told_captions(said.captions))
            exhibit.labels = exhibit.labels or told_labels(said.labels)
    except CallError as error:
        exhibit.error = one_line(error)


def _told_time(begin: float, stages: Sequence[Stage]) -> str:
    """`45 (8, 36)`: milliseconds since `begin`, and those of each stage."""
    parts = ", ".join(f"{stage.elapsed_seconds * 1000:.0f}" for stage in stages)
    return f"{(time.perf_counter() - begin) * 1000:.0f} ({parts})"


def _write_sheet(painted: Sequence[Exhibit], path: Path) -> None:
    """One picture a prompt first, then a row of variations a prompt; a picture that failed leaves no gap."""
    first = [exhibit for exhibit in painted if exhibit.seed == SEED]
    rows = [first[start : start + COLUMNS] for start in range(0, len(first), COLUMNS)]
    rows += [[each for each in painted if each.prompt == prompt] for prompt in VARIED_PROMPTS]
    write_sheet([[each.path for each in row] for row in rows], path)


def _table(exhibits: Sequence[Exhibit]) -> Table:
    table = Table("prompt", "seed", "file", "captions", "labels", "painted, ms", "described, ms", box=SIMPLE_HEAD)
    table.caption = "ms: painted (text, generation); described, the second language (classification, captioning)"
    for each in exhibits:
        captions = cell(each.error, "red") if each.error else cell("\n".join(each.captions))
        seed = "" if each.seed is None else str(each.seed)
        cells = (each.prompt, seed, each.path.name, captions, each.labels, each.painted, each.described)
        table.add_row(*(one if isinstance(one, Text) else cell(one) for one in cells))
    return table
