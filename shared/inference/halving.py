"""Finds the items that make a batch raise, or the size that does not; it knows no queue and no model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from shared.errors import UnavailableError

T = TypeVar("T")


class NotBegunError(Exception):
    """Nothing of this run was done; it may be done again."""


async def run_halving(
    batch: Sequence[T],
    *,
    run: Callable[[Sequence[T]], Awaitable[None]],
    before_again: Callable[[], Awaitable[None]],
    wanted: Callable[[T], bool],
    blame: Callable[[T, Exception], None],
    most: Callable[[], int],
) -> None:
    """Runs a batch; one that raises is run as two halves, down to the single guilty items.

    Parts larger than `most` are halved untried: it falls when a part raised for want of memory.

    Before each run what is no longer wanted is left out. A lost model is nobody's guilt: UnavailableError is raised.
    What was not begun is run again, once `before_again` returns.
    """
    parts = [batch]
    while parts:
        part = [item for item in parts.pop() if wanted(item)]
        if not part:
            continue
        if len(part) <= most():
            try:
                await run(part)
                continue
            except NotBegunError:
                await before_again()
                parts.append(part)
                continue
            except UnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a model raises, no other caller may feel it
                if len(part) == 1:
                    blame(part[0], error)
                    continue
        middle = len(part) // 2
        parts += [part[middle:], part[:middle]]
