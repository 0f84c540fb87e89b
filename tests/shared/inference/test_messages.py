"""Frames of the pipe between a front end and its model process."""

from __future__ import annotations

from shared.codes import Reason
from shared.inference import messages
from shared.inference.predictor import Failure, Padding


def test_a_message_survives_its_frame() -> None:
    message = messages.Done(
        outputs=[b"png", Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="NaN")],
        begin=2.0,
        inference_seconds=0.5,
        gpu_memory_bytes=7,
        padding=Padding(items=2),
    )
    header, *chunks = messages.encode(message)
    frame = b"".join(chunks)
    assert messages.HEADER.unpack(header) == (len(frame),)
    assert messages.decode(frame) == message


def test_a_large_picture_is_not_copied_into_its_frame() -> None:
    picture = bytes(1_000_000)
    assert any(chunk is picture for chunk in messages.encode([picture]))
