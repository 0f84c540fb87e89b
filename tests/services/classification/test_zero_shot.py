"""Pictures are scored against the caller's labels; a bad label fails its own call alone, and is named."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.classification.items import ClassifiedImage, ImageItem
from services.classification.predictor import ClassificationPredictor, load
from shared.codes import Reason
from shared.inference.messages import decode, encode
from shared.inference.predictor import Failure, RuntimeOptions

WIDTH = 32


def picture(seed: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def label_vectors(*seeds: int, factor: float = 1.0) -> tuple[bytes, ...]:
    drawn = (np.random.default_rng(seed).standard_normal(WIDTH) for seed in seeds)
    return tuple((factor * one / np.linalg.norm(one)).astype("<f4").tobytes() for one in drawn)


CLOSED = ImageItem(image=picture(), top_k=9, language="en", include_encoding=True)
OPEN = replace(CLOSED, language="", label_vectors=label_vectors(1, 2, 3))


@pytest.fixture(scope="module")
def predictor(tiny_models: dict[str, Path]) -> ClassificationPredictor:
    return load(tiny_models["classification"], RuntimeOptions(device="cpu", precision="fp32"))


def answered(answer: ClassifiedImage | Failure) -> ClassifiedImage:
    assert isinstance(answer, ClassifiedImage), answer
    return answer


def with_scale(model: Path, folder: Path, scale: float) -> ClassificationPredictor:
    """The same model whose model.toml names a scale."""
    for file in model.iterdir():
        text = file.read_bytes()
        if file.name == "model.toml":
            text = text.replace(b"[serving]\n", b"[serving]\nzero_shot_scale = %r\n" % scale)
        (folder / file.name).write_bytes(text)
    return load(folder, RuntimeOptions(device="cpu", precision="fp32"))


def expected(answer: ClassifiedImage, scale: float) -> dict[str, float]:
    """softmax(scale x cosine), from the picture's own encoding."""
    assert answer.encoding is not None and OPEN.label_vectors is not None
    labels = np.frombuffer(b"".join(OPEN.label_vectors), "<f4").reshape(-1, WIDTH)
    powers = np.exp(scale * (labels @ np.frombuffer(answer.encoding.vector, "<f4")).astype(float))
    return {str(index): float(power) for index, power in enumerate(powers / powers.sum())}


def test_probabilities_are_the_softmax_of_the_cosines_at_the_models_scale(
    tiny_models: dict[str, Path], tmp_path: Path
) -> None:
    answer = answered(with_scale(tiny_models["classification"], tmp_path, 7.5).predict([OPEN])[0])
    assert {one.id: one.probability for one in answer.labels} == pytest.approx(expected(answer, 7.5), abs=1e-5)
    assert [one.probability for one in answer.labels] == sorted(
        (one.probability for one in answer.labels), reverse=True
    )
    assert {one.text for one in answer.labels} == {""}


def test_scale_that_model_toml_does_not_name_is_that_of_the_training(predictor: ClassificationPredictor) -> None:
    answer = answered(predictor.predict([OPEN])[0])
    assert {one.id: one.probability for one in answer.labels} == pytest.approx(
        expected(answer, math.exp(2.7)), abs=2e-3
    )


@pytest.mark.parametrize("factor", [1e-30, 5.0, 1e38])
def test_length_of_a_label_vector_does_not_matter(predictor: ClassificationPredictor, factor: float) -> None:
    long = replace(OPEN, label_vectors=label_vectors(1, 2, 3, factor=factor))
    unit, other = (answered(answer) for answer in predictor.predict([OPEN, long]))
    assert [one.probability for one in other.labels] == pytest.approx(
        [one.probability for one in unit.labels], abs=1e-5
    )


def test_top_k_counts_the_callers_labels(predictor: ClassificationPredictor) -> None:
    answers = predictor.predict([replace(OPEN, top_k=2), replace(OPEN, label_vectors=label_vectors(8))])
    assert [len(answered(answer).labels) for answer in answers] == [2, 1]
    assert answered(answers[1]).labels[0].probability == 1.0


def test_calls_with_and_without_labels_share_a_batch(predictor: ClassificationPredictor) -> None:
    others = replace(OPEN, image=picture(1), label_vectors=label_vectors(4, 5))
    mixed = [answered(answer) for answer in predictor.predict([OPEN, CLOSED, others, replace(CLOSED, language="zh")])]
    alone = [answered(predictor.predict([one])[0]) for one in (OPEN, CLOSED, others)]
    for one, other in zip(mixed, alone, strict=False):
        assert [label.id for label in one.labels] == [label.id for label in other.labels]
        assert [label.text for label in one.labels] == [label.text for label in other.labels]
    assert {label.text for label in mixed[3].labels} == {"猫", "狗", "房子", "苹果"}


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (b"\0\0\x80?", "vector has 1 numbers; the model's space has 32"),
        (np.full(WIDTH, np.nan, "<f4").tobytes(), "not finite"),
        (np.full(WIDTH, np.inf, "<f4").tobytes(), "not finite"),
        (np.zeros(WIDTH, "<f4").tobytes(), "is zero"),
    ],
)
def test_bad_label_fails_its_own_call_and_is_named(
    predictor: ClassificationPredictor, bad: bytes, complaint: str
) -> None:
    spoilt = replace(OPEN, label_vectors=(*label_vectors(1, 2), bad, *label_vectors(3)))
    first, failed, last = predictor.predict([OPEN, spoilt, CLOSED])
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.field) == (Reason.ENCODING_INVALID, "label_encodings[2]")
    assert complaint in failed.message
    assert len(answered(first).labels) == 3 and len(answered(last).labels) == 4


def test_labels_of_a_call_cross_the_pipe_once() -> None:
    labels = label_vectors(*range(256))
    batch = [replace(OPEN, image=picture(seed), label_vectors=labels) for seed in range(16)]
    frame = b"".join(encode(batch)[1:])
    assert len(frame) < sum(map(len, labels)) * 1.2 + sum(len(item.image) for item in batch) * 1.2
    received = decode(frame)
    assert received == batch and len({id(item.label_vectors) for item in received}) == 1
