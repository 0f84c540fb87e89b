"""Forms of words."""

from __future__ import annotations

import pytest

from services.training.data.everyday_words import gerund


@pytest.mark.parametrize(
    ("verb", "form"),
    [("run", "running"), ("dance", "dancing"), ("lie", "lying"), ("see", "seeing"), ("open", "opening"),
     ("play", "playing"), ("swim", "swimming"), ("sleep", "sleeping"), ("jump off", "jumping off")],
)  # fmt: skip
def test_gerunds(verb: str, form: str) -> None:
    assert gerund(verb) == form
