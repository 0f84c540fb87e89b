"""The batcher against a second account of it: 10,000 random steps in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from shared.inference.request import Priority
from tests.shared.inference.observed_batcher import MAX_BATCH, Nature, ObservedBatcher

EXAMPLES, STEPS = 300, 50
natures = st.lists(st.sampled_from(["good"] * 8 + ["fails", "raises"]), min_size=1, max_size=7)


class BatcherMachine(RuleBasedStateMachine):
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.observed = ObservedBatcher()

    @rule(
        natures=natures,
        caller=st.sampled_from("abc"),
        priority=st.sampled_from(Priority),
        kind=st.sampled_from(["light", "light", "heavy"]),
        size=st.integers(0, 400),
        seconds=st.none() | st.floats(0.001, 2.0),
    )
    def submit(
        self, natures: list[Nature], caller: str, priority: Priority, kind: str, size: int, seconds: float | None
    ) -> None:
        self.observed.submit(natures, caller=caller, priority=priority, kind=kind, size=size, seconds=seconds)

    @precondition(lambda self: any(not call.ended for call in self.observed.calls))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from([call for call in self.observed.calls if not call.ended]))
        at_the_end = self.observed.running is not None and data.draw(st.booleans())
        self.observed.cancel(call, at_the_end_of_a_batch=at_the_end)

    @rule(seconds=st.floats(0.0, 0.5))
    def wait(self, seconds: float) -> None:
        self.observed.wait(seconds)

    @precondition(lambda self: self.observed.running is not None)
    @rule()
    def answer(self) -> None:
        self.observed.tell("answer")

    @precondition(lambda self: self.observed.running is not None)
    @rule(seconds=st.floats(0.0, 0.2))
    def answer_after_a_block(self, seconds: float) -> None:
        self.observed.block(seconds)

    @precondition(lambda self: self.observed.running is not None)
    @rule()
    def lose(self) -> None:
        self.observed.tell("lose")

    @precondition(lambda self: self.observed.lost)
    @rule()
    def bring_back(self) -> None:
        self.observed.bring_back()

    @rule(memory=st.sampled_from([MAX_BATCH] * 3 + [2, 1]))
    def have_memory(self, memory: int) -> None:
        self.observed.memory = memory

    @invariant()
    def count(self) -> None:
        """What is invariant, each step has checked itself."""
        BatcherMachine.steps += 1

    def teardown(self) -> None:
        self.observed.close()


@pytest.mark.timeout(300)
def test_random_steps_keep_order_bounds_deadlines_and_one_answer_each() -> None:
    rules = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=True,  # the same steps in each run: a change of ours is what makes it fail
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(BatcherMachine, settings=rules)
    assert BatcherMachine.steps > 10_000 + EXAMPLES  # one more of each example, before its first step
