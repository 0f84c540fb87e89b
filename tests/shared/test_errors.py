"""What every error tells its reader."""

from __future__ import annotations

import inspect

import pytest

from shared import errors
from shared.codes import Code
from shared.errors import (
    CALL_ERRORS,
    MESSAGE_BYTES,
    CallError,
    ConfigurationError,
    DiptychError,
    FailedPreconditionError,
    InvalidArgumentError,
    ModelDirectoryError,
    OverloadedError,
    SpaceMismatchError,
)


def error_classes() -> list[type[DiptychError]]:
    """Every class of the tree."""
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, DiptychError)]
    assert len(classes) > len(Code)
    return classes


def test_whoever_catches_the_root_catches_every_error_and_no_bug() -> None:
    for each in error_classes():
        assert issubclass(each, DiptychError)
        assert not issubclass(each, OSError | RuntimeError | ValueError)


def test_configuration_errors_never_reach_the_wire() -> None:
    assert issubclass(ModelDirectoryError, ConfigurationError)
    for each in error_classes():
        assert not (issubclass(each, ConfigurationError) and issubclass(each, CallError))


def test_every_code_has_one_class_that_is_its_own() -> None:
    assert set(CALL_ERRORS) == set(Code)
    assert len(set(CALL_ERRORS.values())) == len(Code)


def test_a_special_error_keeps_the_code_of_the_general_one() -> None:
    for each in error_classes():
        if issubclass(each, CallError) and each is not CallError:
            assert issubclass(each, CALL_ERRORS[each.code])


@pytest.mark.parametrize("each", error_classes(), ids=lambda each: each.__name__)
def test_every_error_is_documented_in_the_tree(each: type[DiptychError]) -> None:
    general = {CALL_ERRORS[code] for code in Code}
    drawn = f"{each.__name__} " in (errors.__doc__ or "") or each is DiptychError
    assert drawn or each in general, f"{each.__name__} is missing in the module's docstring"
    assert (each.__doc__ or "").rstrip().endswith(".")


def test_message_is_what_the_reader_gets() -> None:
    assert str(InvalidArgumentError("prompt has 612 characters; the limit is 500", field="prompt")) == (
        "prompt has 612 characters; the limit is 500"
    )


def test_refused_field_is_empty_where_it_is_not_known() -> None:
    assert InvalidArgumentError("no").field == ""


def test_space_mismatch_names_both_spaces() -> None:
    error = SpaceMismatchError(got="old", served="new")
    assert isinstance(error, FailedPreconditionError)
    assert "'old'" in str(error)
    assert "'new'" in str(error)


def test_overload_says_when_to_come_back() -> None:
    assert OverloadedError("full", retry_after_seconds=1.5).retry_after_seconds == 1.5
    assert OverloadedError("full").retry_after_seconds == 0.0


@pytest.mark.parametrize("letter", ["x", "猫", "🐈"])
def test_long_message_loses_its_middle_and_fits_a_header(letter: str) -> None:
    message = str(InvalidArgumentError(f"language is {letter * 100_000!r}; the model knows en, zh"))

    assert len(message.encode()) <= MESSAGE_BYTES
    assert message.startswith(f"language is '{letter}{letter}")
    assert message.endswith(f"{letter}'; the model knows en, zh")


def test_message_of_the_longest_length_is_whole() -> None:
    assert str(CallError("x" * MESSAGE_BYTES)) == "x" * MESSAGE_BYTES


def test_code_of_an_error_is_that_of_its_class() -> None:
    with pytest.raises(CallError) as caught:
        raise OverloadedError("full")
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
