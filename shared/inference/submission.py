"""From a call to the queue and back: deadline and priority go in, field names, model and timings come out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from diptych.types.v1 import encoding_pb2, label_pb2, model_pb2
from shared.codes import Code, Reason
from shared.encodings import Encoding, from_proto
from shared.errors import CALL_ERRORS, InvalidArgumentError, SpaceMismatchError
from shared.inference.batching import DynamicBatcher
from shared.inference.journey import Journey, tell_journey
from shared.inference.predictor import LabelName, ModelInfo
from shared.inference.request import Answer, ItemFailedError, Priority
from shared.rpc.context import current_call

DEFAULT_LANGUAGE = "en"

In = TypeVar("In")
Out = TypeVar("Out")


async def submit_call(
    batcher: DynamicBatcher[In, Out],
    items: Sequence[In],
    request: Message,
    *,
    field: str,
    repeated: bool = True,
    kind: Hashable = None,
) -> Answer[Out]:
    """Submits the items of the current call under its deadline and priority, on its caller's account.

    Args:
        batcher: the queue.
        items: one for each element of the request's repeated field.
        request: the message, whose size counts while it waits.
        field: the name of the field at fault when an item cannot be answered.
        repeated: whether each item has an element of that field, so that the fault is named `field[i]`.
        kind: as DynamicBatcher has it.

    Raises:
        CallError: refused, expired, or an item failed.
    """
    call = current_call()
    journey = None if call.span is None else Journey()
    facts = call.facts
    if facts is not None:
        facts.items = len(items)
    try:
        answer = await batcher.submit(
            items,
            deadline=call.deadline,
            priority=Priority(call.priority),
            caller=call.caller,
            kind=kind,
            size=request.ByteSize(),
            journey=journey,
        )
    except ItemFailedError as error:
        failure = error.failure
        path = failure.field or (f"{field}[{error.index}]" if repeated else field)
        message = f"{path}: {failure.message}"
        if failure.reason.code is Code.INVALID_ARGUMENT:
            raise InvalidArgumentError(message, reason=failure.reason, field=path) from None
        raise CALL_ERRORS[failure.reason.code](message, reason=failure.reason) from None
    finally:
        if call.span is not None and journey is not None:
            tell_journey(call.span, journey)
    if facts is not None:
        facts.queue_seconds, facts.inference_seconds = answer.queue_seconds, answer.inference_seconds
    return answer


def check_count(count: int, *, field: str, limit: int) -> None:
    """Raises InvalidArgumentError unless `count` elements of a repeated field are 1 to `limit`."""
    if not 1 <= count <= limit:
        reason = Reason.TOO_MANY_ITEMS if count else Reason.FIELD_MISSING
        message = f"{field} has {count} elements; it must have 1 to {limit}"
        raise InvalidArgumentError(message, reason=reason, field=field)


def answer_language(requested: str, info: ModelInfo) -> str:
    """The language to answer in; where none is said, English, or else the model's first; empty if it has none.

    Raises:
        InvalidArgumentError: the model does not know it.
    """
    if not requested:
        return DEFAULT_LANGUAGE if DEFAULT_LANGUAGE in info.languages else next(iter(info.languages), "")
    if requested not in info.languages:
        message = f"language is {requested!r}; the model knows {', '.join(info.languages)}"
        raise InvalidArgumentError(message, reason=Reason.LANGUAGE_UNKNOWN, field="language")
    return requested


def encoding_of_space(message: encoding_pb2.Encoding, info: ModelInfo, *, field: str) -> Encoding:
    """The encoding at `field` of a request, if it is of the model's space.

    Raises:
        SpaceMismatchError: it is of another.
        InvalidArgumentError: it is longer than any model's.
    """
    if message.space != info.space:
        raise SpaceMismatchError(got=message.space, served=info.space)
    return from_proto(message, field)


def model_message(info: ModelInfo) -> model_pb2.Model:
    """The model as answers name it."""
    return model_pb2.Model(name=info.name, version=info.version, digest=info.digest, space=info.space)


def capabilities_message(info: ModelInfo, *, max_items: int) -> model_pb2.ModelCapabilities:
    """What GetModel answers."""
    return model_pb2.ModelCapabilities(
        model=model_message(info),
        languages=info.languages,
        image_width=info.image_side,
        image_height=info.image_side,
        labels=_label_names(info.labels),
        max_items=max_items,
        heads=[
            model_pb2.Head(
                name=head.name,
                label_count=len(head.labels),
                multi_label=head.multi_label,
                labels=_label_names(head.labels) if place else (),  # the first's are above
            )
            for place, head in enumerate(info.heads)
        ],
    )


def _label_names(labels: Sequence[LabelName]) -> list[label_pb2.LabelName]:
    return [label_pb2.LabelName(id=label.id, texts=label.texts) for label in labels]


def timings_message(answer: Answer[Out]) -> model_pb2.Timings:
    """Where the time of an answer went."""
    return model_pb2.Timings(
        queue_seconds=answer.queue_seconds,
        inference_seconds=answer.inference_seconds,
        batch_size=answer.batch_size,
    )
