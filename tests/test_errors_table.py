"""Every error that is raised on purpose says why, and every why is in the README with its cause and its remedy."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import errors
from shared.codes import Code, Reason
from shared.errors import CallError
from tests.documents import README, REPOSITORY
from tests.test_architecture import python_files, told, tree

CALL_ERROR_NAMES = {
    name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, CallError)
}
REASONS_PASSED_ON = {
    # Each takes its reason from the error or the failure that it stands for.
    ("gateway/fields.py", "error.reason"),
    ("services/classification/predictor.py", "error.reason or Reason.IMAGE_DAMAGED"),
    ("shared/inference/submission.py", "failure.reason"),
    # Rebuild what another process raised, whose reason is None when that process named none.
    ("gateway/service_errors.py", "reason"),
    ("shared/rpc/status.py", "reason"),
    # Of the command line, for its user: no gateway refuses so, and it is never on the wire.
    ("gateway/command_line/replay.py", ""),
    # The caller has left, or gRPC has told it already: nobody hears this one.
    ("shared/rpc/interceptors.py", ""),
    # A function's one place to raise from: its callers, or the lines above, name a Reason.
    ("gateway/validation.py", "reason"),
    ("shared/inference/admission.py", "reason"),
    ("shared/inference/submission.py", "reason"),
}
"""Where an error is made whose reason is no literal `Reason.X`, and the expression for it."""
NAMES_ITS_OWN = {"SpaceMismatchError"}
WITHOUT_A_REASON = {Code.CANCELLED, Code.UNIMPLEMENTED}
"""Codes that callers see and that only gRPC sends."""


def served_files() -> list[Path]:
    """The product less what is not part of a server or its client: training, and the examples."""
    files = python_files("gateway", "services", "shared")
    return [path for path in files if not {"training", "examples"} & set(path.parts)]


def errors_made() -> Iterator[tuple[Path, ast.Call]]:
    """Every place where a CallError or a Failure is made."""
    for path in served_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and _makes_an_error(node.func):
                yield path, node


def _makes_an_error(called: ast.expr) -> bool:
    if isinstance(called, ast.Subscript):
        return ast.unparse(called.value) == "CALL_ERRORS"
    name = ast.unparse(called).rpartition(".")[2]
    return name in CALL_ERROR_NAMES or name == "Failure"


def reason_of(made: ast.Call) -> str:
    """The expression after `reason=`; empty without one."""
    return next((ast.unparse(each.value) for each in made.keywords if each.arg == "reason"), "")


def test_every_error_that_is_made_says_why() -> None:
    silent = []
    passed_on = set()
    for path, made in errors_made():
        reason, place = reason_of(made), told(path)
        if (place, reason) in REASONS_PASSED_ON:
            passed_on.add((place, reason))
        elif not re.fullmatch(r"Reason\.[A-Z_]+", reason) and ast.unparse(made.func) not in NAMES_ITS_OWN:
            silent.append(f"{place}:{made.lineno}: {ast.unparse(made)}")
    assert silent == []
    assert passed_on == REASONS_PASSED_ON, "an entry of the list is not needed any more"


def test_every_reason_is_one_that_something_raises() -> None:
    used = {
        node.attr
        for path in served_files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason"
    }
    assert {each.name for each in Reason} - used == set()


def section(page: Path, title: str) -> str:
    """A page's text from that heading to the next."""
    return page.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_is_in_the_readme_with_code_cause_and_remedy(reason: Reason) -> None:
    row = f"| {reason.code.name} | `{reason.name}` | {reason.cause} | {reason.remedy} |"
    assert row in section(README, "When a call fails").splitlines()


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_causes_and_remedies_are_short_lines_of_a_table(reason: Reason) -> None:
    for text in (reason.cause, reason.remedy):
        assert 10 < len(text) < 200
        assert not text.endswith(".") and "\n" not in text and "|" not in text


@pytest.mark.parametrize(
    ("page", "title"), [(README, "When a call fails"), (REPOSITORY / "protos" / "README.md", "Status codes")]
)
def test_every_code_that_a_caller_can_meet_is_explained_and_no_other(page: Path, title: str) -> None:
    explained = set(re.findall(r"^\| ([A-Z_]+) \|", section(page, title), re.MULTILINE))
    assert explained == {each.code.name for each in Reason} | {each.name for each in WITHOUT_A_REASON}


def test_contract_of_the_protos_lists_each_reason_under_its_code() -> None:
    contract = section(REPOSITORY / "protos" / "README.md", "Status codes")
    rows = re.findall(r"^\| ([A-Z_]+) \| ((?:`[A-Z_]+`(?:, )?)+) \|$", contract, re.MULTILINE)
    listed = {(code, name) for code, names in rows for name in re.findall(r"[A-Z_]+", names)}
    assert listed == {(each.code.name, each.name) for each in Reason}
