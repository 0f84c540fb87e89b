"""`diptych train builtin ...`: the models that come with Diptych, trained again.

Each command reads the data and the models it builds on, trains until its budget is used, resuming from its checkpoints,
measures the result on validation data and writes a model directory. `concepts` fits at once, and has no budget.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

BUDGET = ("lexicon", "checkpoints", "minutes", "steps", "batch", "preset", "resume")
"""Options of what is trained step by step."""

builtin = typer.Typer(no_args_is_help=True, help="Train the built-in models on the built-in drawings.")


def _options(
    data: Annotated[Path, typer.Option("--data", help="Folder that `diptych data build` wrote.")] = Path(
        ".data/pictograms"
    ),
    lexicon: Annotated[Path, typer.Option("--lexicon", help="File that `diptych data lexicon` wrote.")] = Path(
        ".data/lexicon.safetensors"
    ),
    scenes: Annotated[Path, typer.Option("--scenes", help="Composed scenes are kept in a folder below.")] = Path(
        ".data/scenes"
    ),
    scene_count: Annotated[int, typer.Option("--scene-count", min=1, help="Scenes to train on.")] = 20480,
    out: Annotated[Path, typer.Option("--out", help="Model directories are written to OUT/<task>.")] = Path(
        "out/models"
    ),
    checkpoints: Annotated[
        Path, typer.Option("--checkpoints", help="Checkpoints are kept in a folder below for each stage.")
    ] = Path(".checkpoints"),
    minutes: Annotated[float, typer.Option("--minutes", help="Stop after so many minutes of training.")] = 60,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Stop after so many steps instead.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pictures a step.")] = 64,
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            help="Shape of the models: scenes or tiny; student: also lstm; classification: pretrained or tiny.",
        ),
    ] = "scenes",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights and of data order.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the checkpoint if there is one.")
    ] = True,
) -> None:
    """The options of all commands."""


def _start(
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DIR|shipped",
            help="Go on from the models in DIR; classification takes the text encoder there as it is.",
        ),
    ] = None,
) -> None:
    """The option of what can go on from a model directory."""


def _further(
    teachers: Annotated[
        bool, typer.Option("--teachers/--no-teachers", help="Learn what the teachers say of words, or captions alone.")
    ] = True,
) -> None:
    """The options of `student` beside."""


def _words(
    new_vocabulary: Annotated[
        bool,
        typer.Option("--new-vocabulary/--same-vocabulary", help="With --from: tokens anew, of the captions at hand."),
    ] = False,
) -> None:
    """The options of `captioning` beside."""


def _command(
    train: Callable[..., None], *options: Callable[..., None], without: Collection[str] = (), **defaults: object
) -> Callable[..., None]:
    """A function with the parameters of `_options` and of `options`, as typer wants to see it, that hands them on.

    without: of those of `_options` that have no meaning to the command; it gets their defaults.
    """
    sources = (_options, *options)
    hints = {name: hint for source in sources for name, hint in get_type_hints(source, include_extras=True).items()}
    parameters = [
        one.replace(annotation=hints[one.name], default=defaults.get(one.name, one.default))
        for source in sources
        for one in inspect.signature(source).parameters.values()
    ]
    silent = {one.name: one.default for one in parameters if one.name in without}
    parameters = [one for one in parameters if one.name not in without]

    def command(**given: Any) -> None:
        from services.training.builtin.run import BuiltinOptions

        train(BuiltinOptions(**silent, **given))

    command.__doc__ = train.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


def _encoders(options: Any) -> None:
    """Train the text and the image encoder together: a new joint space, unless --from names one."""
    from services.training.builtin.encoders import train_encoders
    from services.training.builtin.run import Run

    train_encoders(Run.start("encoders", options))


def _classification(options: Any) -> None:
    """Train another image encoder for the text encoder of --from, from ImageNet's weights: a new joint space."""
    from services.training.builtin.image_encoder import train_image_encoder
    from services.training.builtin.run import Run

    train_image_encoder(Run.start("classification", options, presets=("pretrained", "tiny")))


def _concepts(options: Any) -> None:
    """Fit what the image encoder of --from calls concepts anew; its vectors and tokens stay: the same joint space."""
    from services.training.builtin.concepts import train_concepts
    from services.training.builtin.run import Run

    train_concepts(Run.start("concepts", options))


def _captioning(options: Any) -> None:
    """Train the caption decoder on the image encoder in OUT."""
    from services.training.builtin.captioning import train_captioning
    from services.training.builtin.run import Run

    train_captioning(Run.start("captioning", options))


def _generation(options: Any) -> None:
    """Train the generator on the text encoder in OUT: things, pages, plans, and all against a discriminator."""
    from services.training.builtin.generation import train_generation
    from services.training.builtin.run import Run

    train_generation(Run.start("generation", options))


def _student(options: Any) -> None:
    """Train another text encoder, such as an LSTM, to agree with the one in OUT: the same joint space."""
    from services.training.builtin.run import Run
    from services.training.builtin.student import train_student

    train_student(Run.start("student", options, presets=("scenes", "lstm", "tiny")))


builtin.command("encoders")(_command(_encoders, _start, minutes=180.0, batch=160))
builtin.command("classification")(
    _command(_classification, _start, minutes=60.0, batch=160, preset="pretrained", start="shipped")
)
builtin.command("concepts")(_command(_concepts, _start, without=BUDGET, start="shipped"))
builtin.command("captioning")(_command(_captioning, _start, _words, minutes=30.0, batch=128))
builtin.command("generation")(_command(_generation, _start, minutes=240.0))
builtin.command("student")(_command(_student, _further, minutes=30.0, batch=256, preset="lstm"))
