"""Rows are cut into passes of few sizes, of which those are taken that change no bit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from shared.inference.passes import EagerPasses, chunks, exact_rows

SIZES = (1, 2, 4, 8)


@pytest.mark.parametrize(
    ("count", "sizes", "passes"),
    [
        (0, SIZES, []),
        (1, SIZES, [1]),
        (3, SIZES, [4]),
        (5, SIZES, [4, 1]),
        (6, SIZES, [8]),
        (16, SIZES, [8, 8]),
        (19, SIZES, [8, 8, 4]),
        (1, (4,), [4]),
        (5, (4,), [4, 4]),
    ],
)
def test_a_pass_is_padded_by_a_quarter_at_most_where_there_are_smaller_ones(
    count: int, sizes: Sequence[int], passes: list[int]
) -> None:
    found = chunks(count, sizes)
    assert [size for _, size in found] == passes
    assert [row for rows, _ in found for row in range(count)[rows]] == list(range(count))


def test_padding_that_costs_nothing_makes_one_pass() -> None:
    assert chunks(5, SIZES, most_padding=1) == [(slice(0, 5), 8)]


def draw(rows: int) -> tuple[Tensor]:
    return (torch.arange(rows, dtype=torch.float32)[:, None],)


def test_numbers_of_rows_that_give_other_bits_are_left_out() -> None:
    def last_bit_hangs_on_pairs(numbers: Tensor) -> tuple[Tensor, ...]:
        return numbers * 2, numbers + (1e-6 if len(numbers) == 2 else 0)

    passes = EagerPasses(last_bit_hangs_on_pairs)
    assert exact_rows(passes, draw, microbatch=4, sizes=SIZES) == (1, 4, 8)
    assert exact_rows(passes, draw, microbatch=2, sizes=SIZES) == (2,)


def test_numbers_of_rows_whose_bits_hang_on_the_place_are_left_out() -> None:
    def last_place_is_special(numbers: Tensor) -> tuple[Tensor]:
        return (torch.cat((numbers[:-1], numbers[-1:] + len(numbers) // 8)),)

    assert exact_rows(EagerPasses(last_place_is_special), draw, microbatch=4, sizes=SIZES) == (1, 2, 4)


def test_microbatch_need_not_be_among_the_sizes() -> None:
    assert exact_rows(EagerPasses(lambda numbers: (numbers,)), draw, microbatch=3, sizes=SIZES) == (1, 2, 3, 4, 8)


def test_every_size_is_run_before_any_call() -> None:
    met = set()

    def note(numbers: Tensor) -> tuple[Tensor]:
        met.add(len(numbers))
        return (numbers,)

    exact_rows(EagerPasses(note), draw, microbatch=4, sizes=SIZES)
    assert met == set(SIZES)
