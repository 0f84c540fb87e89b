"""The field that an error names is the caller's."""

from __future__ import annotations

import pytest

from gateway.fields import not_the_callers, renamed_fields
from shared.codes import Reason
from shared.errors import InternalError, InvalidArgumentError


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("encodings[3]", "images[3]"),
        ("encodings", "images"),
        ("encodings_of", "encodings_of"),
        ("language", "language"),
    ],
)
def test_field_paths_are_renamed_whole(theirs: str, ours: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught, renamed_fields({"encodings": "images"}):
        raise InvalidArgumentError(f"{theirs} is wrong", field=theirs)
    assert (caught.value.field, str(caught.value)) == (ours, f"{ours} is wrong")


def test_only_the_name_at_the_beginning_of_the_message_is_renamed() -> None:
    with pytest.raises(InvalidArgumentError) as caught, renamed_fields({"texts[0]": "prompt"}):
        raise InvalidArgumentError("texts[0]: 'texts[0] of mine' is blank", field="texts[0]")
    assert str(caught.value) == "prompt: 'texts[0] of mine' is blank"


def test_field_of_a_later_part_gets_its_place_in_the_whole() -> None:
    with pytest.raises(InvalidArgumentError) as caught, renamed_fields({"texts": "labels"}, offset=64):
        raise InvalidArgumentError("texts[6] is blank", reason=Reason.FIELD_MISSING, field="texts[6]")
    assert (caught.value.field, str(caught.value)) == ("labels[70]", "labels[70] is blank")
    assert caught.value.reason is Reason.FIELD_MISSING


def test_refusal_of_what_a_model_made_is_our_defect() -> None:
    with pytest.raises(InternalError) as caught, not_the_callers("classification"):
        raise InvalidArgumentError("images[2] is damaged", field="images[2]")
    assert str(caught.value) == "classification: images[2] is damaged"
    assert caught.value.reason is Reason.DEFECT
