"""Whether a flow's later calls have room, asked before work goes into those ahead of them.

It is asked when a call is really made, and not when the flow begins: an answer that is remembered, or that an equal
call under way gives, costs nothing, and the later calls may then be equal to others as well. So what the flow in
progress is, is ambient, like its deadline: `enter_flow` tells it to the calls below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from itertools import dropwhile, pairwise

from gateway.ports import ModelService

Services = Sequence[ModelService]
_flow: ContextVar[tuple[Services, str | None]] = ContextVar("diptych_flow", default=((), None))


def enter_flow(services: Services, space: str | None) -> None:
    """Makes a flow the current one: what it calls, in this order, and in which joint space; None is any."""
    _flow.set((services, space))


def require_room_after(name: str) -> None:
    """Refuses a call to the service of that name when a later one of the current flow would be refused.

    Raises:
        OverloadedError: the queue of a later service is too long for what those before it leave of the deadline.
    """
    services, space = _flow.get()
    for service, begin in _ahead([*dropwhile(lambda each: each.name != name, services)], space):
        service.require_room(space, after_seconds=begin)


def has_room(services: Services, space: str | None) -> bool:
    """Whether the first call of a flow would be let through, and each later one."""
    first = services[0].has_room(space, after_seconds=0.0)
    return first and all(service.has_room(space, after_seconds=begin) for service, begin in _ahead(services, space))


def _ahead(services: Services, space: str | None) -> Iterator[tuple[ModelService, float]]:
    """The services behind the first, each with the seconds that those before it are expected to take."""
    begin = 0.0
    for before, service in pairwise(services):
        begin += before.expected_seconds(space)
        yield service, begin
