"""A process that calls: `python -m tests.benchmarks.load`.

A load comes as a line of JSON on standard input, what was seen goes as a line to standard output; so on until the
input ends. The connections of a client stay open while loads name the same one.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import AsyncExitStack

import uvloop

from tests.benchmarks.load.client import Call, open_client
from tests.benchmarks.load.loops import run
from tests.benchmarks.load.plan import Load, load_of, seen_json


async def serve() -> None:
    """Runs one load after another."""
    async with AsyncExitStack() as stack:
        opened: tuple[object, Call] | None = None
        while line := await asyncio.to_thread(sys.stdin.readline):
            load = load_of(line)
            key = _connection(load)
            if opened is None or opened[0] != key:
                await stack.aclose()
                opened = key, await stack.enter_async_context(open_client(load.client, load.address, load.arguments))
            gc.collect()
            gc.freeze()  # a collection in the measured time would be the client's, not the server's
            gc.disable()
            seen = await run(load, opened[1])
            gc.enable()
            sys.stdout.write(seen_json(seen) + "\n")
            sys.stdout.flush()


def _connection(load: Load) -> object:
    return load.client, load.address, dict(load.arguments)


if __name__ == "__main__":
    uvloop.run(serve())
