"""In which joint space a flow runs: one that every service it needs serves, or the one that the caller asks for."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from gateway.concurrency import started
from gateway.ports import ModelService
from gateway.room import enter_flow, has_room
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
    space = await choose_space(services, wanted)
    enter_flow(services, space)
    try:
        return await run(space)
    except (FailedPreconditionError, UnavailableError) as error:
        space = await space_after(error, space, services, wanted)
    enter_flow(services, space)
    return await run(space)


async def stream_in_one_space(
    run: Callable[[str | None], AsyncGenerator[Response, None]], *services: ModelService, wanted: str = ""
) -> AsyncGenerator[Response, None]:
    """As `in_one_space` for a flow of many answers: once one is out, the flow never begins again in another space."""
    space = await choose_space(services, wanted)
    enter_flow(services, space)
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
        space = await space_after(error, space, services, wanted)
    enter_flow(services, space)
    async with aclosing(run(space)) as answers:
        async for answer in answers:
            yield answer


async def choose_space(services: Sequence[ModelService], wanted: str = "") -> str | None:
    """A joint space that all services serve, the likelier the more replicas stand behind it; or the wanted one.

    One in which a call would be refused for its deadline is chosen only where that is so in all. None when no service
    serves at present: the calls themselves then wait, or fail with the reason. So they do when no replica of the wanted
    space serves, but one is known.

    Raises:
        FailedPreconditionError: a service knows replicas of other spaces than the wanted one only.
        UnavailableError: the services serve, but no space in common, and that stayed so while calls wait for a replica.
    """
    if wanted:
        for service in services:
            if (served := service.spaces()) and not service.may_serve(wanted):
                message = f"{service.name}: space {wanted!r} is not served; served: {', '.join(sorted(served))}"
                raise FailedPreconditionError(message, reason=Reason.SPACE_NOT_SERVED)
        return wanted
    since = asyncio.get_running_loop().time()
    while any(service.spaces() for service in services):
        if weights := shared_spaces(services):
            if len(weights) > 1:
                weights = {space: weights[space] for space in weights if has_room(services, space)} or weights
            return random.choices(list(weights), list(weights.values()))[0]
        if not await _changed(services, since):
            told = "; ".join(f"{service.name}: {', '.join(service.spaces()) or 'none'}" for service in services)
            message = f"no joint space is served by every service this call needs ({told})"
            raise UnavailableError(message, reason=Reason.NO_COMMON_SPACE)
    return None


async def _changed(services: Sequence[ModelService], since: float) -> bool:
    """Waits until a replica of one of them begins or ceases to serve; false if a call has waited for long enough."""
    async with started(service.wait_for_change(since) for service in services) as waits:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    return any(wait.exception() is None for wait in done)


async def space_after(error: CallError, space: str | None, services: Sequence[ModelService], wanted: str) -> str | None:
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
        await choose_space(services, wanted)  # gone meanwhile: then that is the reason
        raise error
    return await choose_space(services, wanted)


def shared_spaces(services: Sequence[ModelService]) -> dict[str, int]:
    """The spaces that all services serve, each with the replicas of its weakest service.

    A service without any serving replica has no say: its calls wait a moment for it to come back.
    """
    served = [spaces for service in services if (spaces := service.spaces())]
    if not served:
        return {}
    shared = frozenset.intersection(*(frozenset(spaces) for spaces in served))
    return {space: min(spaces[space] for spaces in served) for space in sorted(shared)}
