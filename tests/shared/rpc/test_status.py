"""The error table is total, both ways."""

from __future__ import annotations

import grpc

from shared.codes import Code
from shared.errors import CALL_ERRORS
from shared.rpc.status import status_code


def test_codes_are_those_of_grpc_less_ok_with_the_same_numbers() -> None:
    assert {(code.name, code.value) for code in Code} == {
        (code.name, code.value[0]) for code in grpc.StatusCode if code is not grpc.StatusCode.OK
    }


def test_every_code_has_a_class_and_a_wire_name() -> None:
    assert set(CALL_ERRORS) == set(Code)
    for code, error in CALL_ERRORS.items():
        assert error.code is code
        assert status_code(code).name == code.name
