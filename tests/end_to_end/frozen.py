"""Holds a model process still, so that calls can be put into its queue one by one and found there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.end_to_end.calls import until
from tests.end_to_end.servers import Server


@contextmanager
def frozen_model(server: Server) -> Iterator[None]:
    """Inside, the model process is stopped: a batch that reaches it stays there, and others wait behind it."""
    pid = server.model_pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # the test may have killed it; of a killed front end it ends only now
            os.kill(pid, signal.SIGCONT)


async def admitted(server: Server, *, in_batch: int, waiting: int) -> None:
    """Returns once so many items are in the running batch and so many wait."""

    def there() -> bool:
        metrics = server.metrics()
        return (metrics.total("diptych_items_in_flight"), metrics.total("diptych_queue_depth")) == (in_batch, waiting)

    await until(there, f"{in_batch} items in the batch and {waiting} waiting")
