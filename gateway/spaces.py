"""In which joint space a flow runs: one that every service it needs serves, or the one that the caller asks for."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from gateway.ports import ModelService
from shared.codes import Reason
from shared.errors import CallError, FailedPreconditionError, UnavailableError

Response = TypeVar("Response")


async def in_one_space(
    run: Callable[[str | None], Awaitable[Response]], *services: ModelService, wanted: str = ""
) -> Response:
    """Runs a flow in a joint space that every service it needs serves; once more if that ceased to be true meanwhile.

    While a new model version is rolled out, each service has replicas of two spaces. Between the choice and the
    last call a replica may be replaced: it then refuses the encoding, or there is no replica of the space left.

    Args:
        run: the flow, in a space; None is any, as `choose_space` says.
        services: what the flow calls, in this order.
        wanted: the only space that will do; empty is any.
    """
    space = choose_space(services, wanted)
    require_room(services, space)
    try:
        return await run(space)
    except (FailedPreconditionError, UnavailableError) as error:
        space = space_after(error, space, services, wanted)
    return await run(space)


async def stream_in_one_space(
    run: Callable[[str | None], AsyncGenerator[Response, None]], *services: ModelService, wanted: str = ""
) -> AsyncGenerator[Response, None]:
    """As `in_one_space` for a flow of many answers: once one is out, the flow never begins again in another space."""
    space = choose_space(services, wanted)
    require_room(services, space)
    begun = False
    try:
        async with aclosing(run(space)) as answers:
            async for answer in answers:
                begun = True
                yield answer
        return
    except (FailedPreconditionError, UnavailableError) as error:
        if begun:
            raise
        space = space_after(error, space, services, wanted)
    async with aclosing(run(space)) as answers:
        async for answer in answers:
            yield answer


def choose_space(services: Sequence[ModelService], wanted: str = "") -> str | None:
    """A joint space that all services serve, the likelier the more replicas stand behind it; or the wanted one.

    None when no service serves at present: the calls themselves then wait, or fail with the reason.

    Raises:
        FailedPreconditionError: a service serves other spaces than the wanted one.
        UnavailableError: the services serve, but no space in common.
    """
    if wanted:
        for service in services:
            if (served := service.spaces()) and wanted not in served:
                message = f"{service.name}: space {wanted!r} is not served; served: {', '.join(sorted(served))}"
                raise FailedPreconditionError(message, reason=Reason.SPACE_NOT_SERVED)
        return wanted
    if not any(service.spaces() for service in services):
        return None
    weights = shared_spaces(services)
    if not weights:
        told = "; ".join(f"{service.name}: {', '.join(service.spaces()) or 'none'}" for service in services)
        message = f"no joint space is served by every service this call needs ({told})"
        raise UnavailableError(message, reason=Reason.NO_COMMON_SPACE)
    return random.choices(list(weights), list(weights.values()))[0]


def require_room(services: Sequence[ModelService], space: str | None) -> None:
    """Refuses a flow of which a later call would be refused, before work goes into the calls ahead of it.

    The first one is left to the call itself, which may find its answer without the service.

    Raises:
        OverloadedError: the queue of a service is too long for what those before it leave of the deadline.
    """
    begin = 0.0
    for place, service in enumerate(services):
        if place:
            service.require_room(space, after_seconds=begin)
        begin += service.expected_seconds(space)


def space_after(error: CallError, space: str | None, services: Sequence[ModelService], wanted: str) -> str | None:
    """The space to run a flow in once more after it failed; raises the error again where that would not help.

    A model process that this call has cost is not followed by one of another space.
    """
    if error.reason is Reason.MODEL_LOST:
        raise error
    if isinstance(error, UnavailableError) and not wanted:
        shared = shared_spaces(services)
        if space in shared or not shared:
            raise error
    elif isinstance(error, UnavailableError):
        choose_space(services, wanted)  # gone meanwhile: then that is the reason
        raise error
    return choose_space(services, wanted)


def shared_spaces(services: Sequence[ModelService]) -> dict[str, int]:
    """The spaces that all services serve, each with the replicas of its weakest service.

    A service without any serving replica has no say: its calls wait a moment for it to come back.
    """
    served = [spaces for service in services if (spaces := service.spaces())]
    if not served:
        return {}
    shared = frozenset.intersection(*(frozenset(spaces) for spaces in served))
    return {space: min(spaces[space] for spaces in served) for space in sorted(shared)}
