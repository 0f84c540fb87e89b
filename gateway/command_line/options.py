"""Options that several sub-commands of `diptych` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.client.terms import LONGEST_SECONDS

TIMEOUT_SECONDS = 60.0
CONCURRENCY = 4

Address = Annotated[str, typer.Option(envvar="DIPTYCH_ADDRESS", help="host:port of the gateway.")]
Timeout = Annotated[
    float, typer.Option(min=0.001, max=LONGEST_SECONDS, help="Seconds to wait for an answer, retries included.")
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar="DIPTYCH_KEY",
        show_default=False,
        help="Key for a gateway that wants one; better set as the variable, for others may see a command line.",
    ),
]
Retries = Annotated[int, typer.Option(min=0, help="Further attempts where the gateway is away or busy.")]

Pictures = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|FOLDER|GLOB|-...",
        help="Pictures; a folder stands for those in it; - reads names, one a line, or one picture.",
    ),
]
Language = Annotated[str, typer.Option(help="en or zh.")]
Heads = Annotated[
    str | None,
    typer.Option(
        metavar="HEAD,HEAD...",
        help="What to ask the classifier: concept, objects, background and so on, as `capabilities` tells; or content.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", dir_okay=False, help="A file for JSON lines; it is continued where it stopped."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Concurrency = Annotated[int, typer.Option(min=1, max=256, help="Calls under way at once.")]

Device = Annotated[str | None, typer.Option(help="Device of the models: auto, cpu, cuda or cuda:N (DIPTYCH_DEVICE).")]
Precision = Annotated[str | None, typer.Option(help="auto, fp32 or bf16 (DIPTYCH_PRECISION).")]
Threads = Annotated[
    int | None,
    typer.Option(min=0, help="CPU threads of each model; 0: all CPUs but one, or a replica's share (DIPTYCH_THREADS)."),
]
Models = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder with model directories of yours, named text, classification, generation, captioning.",
    ),
]
