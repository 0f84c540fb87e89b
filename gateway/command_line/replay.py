"""`diptych replay`: paints the picture of a file again from what the file says of itself, and compares the pixels."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.client import AsyncDiptych
from gateway.client.answers import provenance
from gateway.client.results import Capabilities, Model, Provenance
from gateway.command_line.console import ExitCode, exit_code, one_line, say, show
from gateway.command_line.inputs import FIELD, PictureInput
from gateway.png import pixel_sha256
from gateway.provenance import read_provenance
from shared.codes import Reason
from shared.errors import (
    CallError,
    ConfigurationError,
    DiptychError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
)

SUFFIXES = {".png"}
"""Of the files in a folder: only these hold what is needed."""
DIGEST_CHARACTERS = 12
PAINTERS = ("text", "generation")
"""The services that a picture comes from."""
WAITS = 10
WAIT_SECONDS = 0.2


async def replay(diptych: AsyncDiptych, files: Sequence[PictureInput], *, prompt: str | None) -> ExitCode:
    """Prints a line a file: `same picture`, `different picture`, or why it was not painted again.

    Args:
        prompt: for files that do not hold theirs.

    Returns:
        PARTLY if a picture is different, or if one of several files could not be tried.

    Raises:
        ConfigurationError, CallError: why the only file could not be tried; or the gateway is gone.
    """
    worst = ExitCode.OK
    async with diptych:
        served: Capabilities | None = None
        for file in files:
            try:
                recorded = _recorded(file, prompt)
                served = served or await _served(diptych)
                _check_served(file.name, recorded, served)
                same = await _paint_again(diptych, file.name, recorded, prompt)
            except (ConfigurationError, FailedPreconditionError) as error:
                if len(files) == 1:
                    raise
                say(f"error: {one_line(error)}", style="red")
                worst = ExitCode.PARTLY
            except _AlteredError as error:
                show(f"{file.name}: {error}")
                worst = ExitCode.PARTLY
            except CallError as error:
                if len(files) == 1 or isinstance(error, UnavailableError):
                    raise
                say(f"error: {file.name}: {one_line(error)} (exit code {exit_code(error)} alone)", style="red")
                worst = ExitCode.PARTLY
            else:
                worst = worst if same else ExitCode.PARTLY
    return worst


class _AlteredError(DiptychError):
    """The file's pixels are not those that were painted."""


def _recorded(source: PictureInput, prompt: str | None) -> Provenance:
    """What the file says of itself, checked against its own pixels."""
    file = source.name
    try:
        data = source.read()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    except InvalidArgumentError as error:
        raise ConfigurationError(f"{file}: {str(error).replace(FIELD, 'the file')}") from None
    try:
        told = read_provenance(data)
        pixels = pixel_sha256(data) if told is not None else ""
    except ValueError as error:
        raise ConfigurationError(
            f"{file}: {error}; only PNG files that Diptych painted hold what replay needs"
        ) from None
    if told is None:
        raise ConfigurationError(
            f"{file} does not say where it comes from: it was not painted by Diptych, or a program wrote it again "
            "without its text; use the file as it was painted"
        )
    recorded = provenance(told)
    if not recorded.prompt and not prompt:
        raise ConfigurationError(f"{file} does not hold its prompt (embed_prompt was false); say it with --prompt")
    if recorded.prompt and prompt and prompt != recorded.prompt:
        raise ConfigurationError(f"{file} holds another prompt ({recorded.prompt!r}); leave --prompt out")
    if pixels != recorded.pixel_sha256:
        raise _AlteredError("altered: its pixels are not those that were painted; not painted again")
    return recorded


async def _served(diptych: AsyncDiptych) -> Capabilities:
    """What the gateway offers; one that has just started is given a moment to find its replicas."""
    for _ in range(WAITS):
        found = await diptych.capabilities()
        if all(each.models for each in found.services if each.name in PAINTERS):
            return found
        await asyncio.sleep(WAIT_SECONDS)
    return await diptych.capabilities()


def _check_served(file: str, recorded: Provenance, served: Capabilities) -> None:
    """Refuses before anything is painted where it cannot be the same picture.

    Raises:
        FailedPreconditionError: the gateway has not the models of the file.
    """
    for service, model in zip(PAINTERS, (recorded.text_model, recorded.generation_model), strict=True):
        models = [each.model for one in served.services if one.name == service for each in one.models]
        if not models:
            told = f"no replica of {service} serves"
            raise UnavailableError(told, reason=Reason.NO_REPLICA)
        if not any(each.digest == model.digest and each.space == model.space for each in models):
            told = ", ".join(_told(each) for each in models)
            raise FailedPreconditionError(
                f"{file} was painted with the {service} model {_told(model)}; this gateway serves {told}; start that "
                "model (`diptych up --models FOLDER`), or name a gateway that has it with --address"
            )


async def _paint_again(diptych: AsyncDiptych, file: str, recorded: Provenance, prompt: str | None) -> bool:
    [again] = await diptych.text_to_image(
        recorded.prompt or prompt or "",
        seed=recorded.seed,
        embed_prompt=bool(recorded.prompt),
        space=recorded.generation_model.space,
    )
    painters = (again.provenance.text_model.digest, again.provenance.generation_model.digest)
    if painters != (recorded.text_model.digest, recorded.generation_model.digest):
        # Two models share the space while one is rolled out, and the other one answered.
        raise UnavailableError(
            f"{file}: another model than the file's answered; try again when the rollout is over",
            reason=Reason.NO_REPLICA,
        )
    same = again.pixel_sha256 == recorded.pixel_sha256 == pixel_sha256(again.data)
    if same:
        show(f"{file}: same picture")
    elif not recorded.prompt:
        show(f"{file}: different picture; is the prompt the one that it was painted with?")
    else:
        show(
            f"{file}: different picture, by the same models: another kind of hardware, PyTorch or settings "
            f"(it was painted by Diptych {recorded.diptych_version})"
        )
    return same


def _told(model: Model) -> str:
    return f"{model.name} {model.version} (digest {model.digest[:DIGEST_CHARACTERS]}, space {model.space})"
