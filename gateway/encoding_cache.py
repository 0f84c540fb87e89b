"""Encodings of texts, remembered: prompts and labels come again and again, and a text's encoding is always the same.

An encoding is used only while a replica serves the model that made it, weights and joint space both, and only in the
space that the flow runs in. So a new model is heard from its first moment, an answer names the model that its encoding
is of, and while the text service is down nothing is hidden. All encodings of one answer are of one model.
"""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2, model_pb2
from gateway.fields import renamed_fields
from gateway.metrics import EncodingCacheMetrics
from gateway.ports import ENCODE_TEXT, Answer, ServedTextEncoder
from shared.rpc.context import current_call

ModelKey = tuple[str, str]
"""Digest and space."""
Encoded = Answer[text_encoding_pb2.EncodeTextResponse]

ENTRY_BYTES = 300
"""Memory of an entry besides its text and its encoding: its key, and its places in the dictionary and the order."""


class EncodingCache:
    """The encodings used last, within `max_bytes` of memory; 0 holds none."""

    def __init__(self, max_bytes: int, metrics: EncodingCacheMetrics) -> None:
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._bytes = 0
        self._entries: OrderedDict[tuple[ModelKey, str], bytes] = OrderedDict()
        self._models: dict[ModelKey, ModelKey] = {}
        """One object a model for all its entries."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, model: ModelKey, texts: Sequence[str]) -> dict[str, bytes]:
        """The serialised encodings of those texts that are known; they are forgotten last from now on."""
        found = {}
        for text in texts:
            if (encoding := self._entries.get((model, text))) is not None:
                self._entries.move_to_end((model, text))
                found[text] = encoding
        return found

    def count(self, *, hits: int, misses: int) -> None:
        """Notes how many texts of a call it knew."""
        self._metrics.hits.inc(hits)
        self._metrics.misses.inc(misses)

    def remember(self, model: ModelKey, text: str, encoding: encoding_pb2.Encoding) -> None:
        """Holds an encoding, and forgets others where there is no room."""
        key, data = (self._models.setdefault(model, model), text), encoding.SerializeToString()
        size = _size(text, data)
        if size > self._max_bytes or key in self._entries:
            return
        self._entries[key] = data
        self._bytes += size
        while self._bytes > self._max_bytes:
            (_, old), forgotten = self._entries.popitem(last=False)
            self._bytes -= _size(old, forgotten)
            self._metrics.evicted.inc()
        self._metrics.bytes.set(self._bytes)


def _size(text: str, data: bytes) -> int:
    return sys.getsizeof(text) + sys.getsizeof(data) + ENTRY_BYTES


class CachedTextEncoder:
    """`TextEncoder` that asks another one for those encodings only that it does not remember."""

    def __init__(self, encoder: ServedTextEncoder, cache: EncodingCache) -> None:
        self._encoder = encoder
        self._cache = cache

    @property
    def name(self) -> str:
        """As the encoder's."""
        return self._encoder.name

    def spaces(self) -> Mapping[str, int]:
        """As the encoder's."""
        return self._encoder.spaces()

    def may_serve(self, space: str) -> bool:
        """As the encoder's."""
        return self._encoder.may_serve(space)

    async def wait_for_change(self, since: float) -> None:
        """As the encoder's."""
        await self._encoder.wait_for_change(since)

    def expected_seconds(self, space: str | None) -> float:
        """As the encoder's."""
        return self._encoder.expected_seconds(space)

    def has_room(self, space: str | None, *, after_seconds: float) -> bool:
        """As the encoder's."""
        return self._encoder.has_room(space, after_seconds=after_seconds)

    def require_room(self, space: str | None, *, after_seconds: float) -> None:
        """As the encoder's."""
        self._encoder.require_room(space, after_seconds=after_seconds)

    async def encode_text(self, texts: Sequence[str], *, space: str | None) -> Encoded:
        """One encoding a text. Where all were remembered, the stage has no timings: no service spent any time."""
        begin = time.perf_counter()
        model, known = self._known(texts, space)
        missing = _without(texts, known)
        if model is not None and not missing:
            self._count(hits=len(known), misses=0)
            return _answer(texts, known, {}, model, None, begin)
        asked = await self._ask(texts, missing, space)
        if model is not None and known and _key(asked.message.model) != _key(model):
            # The replica was replaced meanwhile, and one answer is never of two models.
            known, missing = {}, _without(texts, {})
            asked = await self._ask(texts, missing, space)
        self._count(hits=len(known), misses=len(missing))
        made = dict(zip(missing, asked.message.encodings, strict=True))
        if asked.message.model.digest:
            for text, encoding in made.items():
                self._cache.remember(_key(asked.message.model), text, encoding)
        if len(missing) == len(texts):
            return asked
        return _answer(texts, known, made, asked.message.model, asked.message.timings, begin)

    def _count(self, *, hits: int, misses: int) -> None:
        self._cache.count(hits=hits, misses=misses)
        if (span := current_call().span) is not None:
            span.event("encodings remembered", {"diptych.cache.hits": hits, "diptych.cache.misses": misses})

    def _known(self, texts: Sequence[str], space: str | None) -> tuple[model_pb2.Model | None, Mapping[str, bytes]]:
        """A model that serves, and what is remembered of it: all of the texts, or some if there is no other model."""
        served = {_key(each): each for each in self._encoder.models() if each.digest and space in (None, each.space)}
        for key, model in served.items():
            known = self._cache.find(key, texts)
            if len(served) == 1 or all(text in known for text in texts):
                return model, known
        return None, {}

    async def _ask(self, texts: Sequence[str], missing: Sequence[str], space: str | None) -> Encoded:
        if len(missing) == len(texts):
            return await self._encoder.encode_text(missing, space=space)
        places = list(texts)
        with renamed_fields({f"texts[{at}]": f"texts[{places.index(text)}]" for at, text in enumerate(missing)}):
            return await self._encoder.encode_text(missing, space=space)


def _key(model: model_pb2.Model) -> ModelKey:
    return model.digest, model.space


def _without(texts: Sequence[str], known: Mapping[str, bytes]) -> list[str]:
    """Those that are not known, each once."""
    return [text for text in dict.fromkeys(texts) if text not in known]


def _answer(
    texts: Sequence[str],
    known: Mapping[str, bytes],
    made: Mapping[str, encoding_pb2.Encoding],
    model: model_pb2.Model,
    timings: model_pb2.Timings | None,
    begin: float,
) -> Encoded:
    encodings = {text: encoding_pb2.Encoding.FromString(data) for text, data in known.items()} | dict(made)
    return Answer(
        message=text_encoding_pb2.EncodeTextResponse(
            encodings=[encodings[text] for text in texts], model=model, timings=timings
        ),
        stage=model_pb2.Stage(
            method=ENCODE_TEXT, model=model, timings=timings, elapsed_seconds=time.perf_counter() - begin
        ),
    )
