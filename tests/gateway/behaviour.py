"""What a fake model service does besides answering, and what it saw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from diptych.types.v1 import encoding_pb2, model_pb2
from shared.errors import CallError, SpaceMismatchError
from shared.rpc import metadata
from shared.rpc.context import CallContext, current_call, remaining_seconds


@dataclass(frozen=True)
class Seen:
    """A call as it arrived."""

    request: Any
    context: CallContext
    remaining_seconds: float | None


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Behaviour:
    """What a fake does besides answering, and what it saw."""

    space: str = "space-a"
    version: str = "1"
    digest: str = "f" * 64
    queue_seconds: float = 0.0
    item_seconds: float = 0.0
    answer_seconds: float = 0.0
    """The three are told in trailers as they stand."""
    delay_seconds: float = 0.0
    released: asyncio.Event = field(default_factory=_set_event)
    """Calls wait here, after the delay; cleared, they are held."""
    error: Callable[[], CallError | None] = lambda: None
    """Makes the error of the next call, or None to answer it."""
    asked: int = 0
    """GetModel calls that arrived."""
    languages: tuple[str, ...] = ("en", "zh")
    """Of captions and labels."""
    max_items: int = 64
    """A call, as GetModel tells."""
    heads: tuple[model_pb2.Head, ...] = ()
    """Of a classifier, as GetModel tells; without any it answers whatever head it is asked for."""
    calls: list[Seen] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, request: Any, *spaces: str) -> None:
        """Notes a call, and delays or fails it; encodings of these spaces came with it."""
        self.calls.append(Seen(request, current_call(), remaining_seconds()))
        self.called.set()
        try:
            await asyncio.sleep(self.delay_seconds)
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if (error := self.error()) is not None:
            raise error
        for space in spaces:
            if space != self.space:
                raise SpaceMismatchError(got=space, served=self.space)

    def reset(self) -> None:
        """Back to the defaults, with nothing seen; the heads are its model's, and stay."""
        self.__dict__.update(Behaviour(heads=self.heads).__dict__)

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """What its answers tell of its load, from its first call on: a gateway asks for its model at any moment."""
        if not self.calls:
            return ()
        return (
            (metadata.QUEUE_SECONDS, str(self.queue_seconds)),
            (metadata.ITEM_SECONDS, str(self.item_seconds)),
            (metadata.ANSWER_SECONDS, str(self.answer_seconds)),
        )

    def model(self) -> model_pb2.Model:
        """The model that answers."""
        return model_pb2.Model(name="fake", version=self.version, digest=self.digest, space=self.space)

    async def capabilities(self, **more: Any) -> model_pb2.ModelCapabilities:
        """What GetModel tells; it is noted as a call, and delayed, like any."""
        self.asked += 1
        await asyncio.sleep(self.delay_seconds)
        return model_pb2.ModelCapabilities(model=self.model(), max_items=self.max_items, **more)

    def encoding(self, value: float, tokens: bytes = b"") -> encoding_pb2.Encoding:
        """A point with one coordinate."""
        return encoding_pb2.Encoding(space=self.space, vector=[value], tokens=tokens, token_width=len(tokens))
