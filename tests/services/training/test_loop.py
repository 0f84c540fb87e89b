"""A stopped run goes on as if it had never stopped, and validation decides when one ends and which weights it keeps."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim import Optimizer

from services.training.checkpoint import Progress
from services.training.early_stopping import Validation
from services.training.loop import Budget, Conditions, train
from shared.errors import ConfigurationError

PROGRAM = [sys.executable, "-m", "tests.services.training.losses_of_steps"]
QUIET = Console(quiet=True)


class Counter:
    """A trainer whose only weight is the number of its steps."""

    def __init__(self) -> None:
        self.weight = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.weight.weight)
        self.modules: Mapping[str, nn.Module] = {"weight": self.weight}
        self.optimisers: Mapping[str, Optimizer] = {"sgd": torch.optim.SGD(self.weight.parameters(), lr=1.0)}
        self.generators: Mapping[str, random.Random] = {"own": random.Random(0)}
        self.counts = {"steps": 0}
        self.pictures_a_step = 1
        self.drawn: list[float] = []

    @property
    def value(self) -> float:
        return self.weight.weight.item()

    def step(self, share: float) -> Mapping[str, Tensor]:
        self.optimisers["sgd"].zero_grad()
        (-self.weight.weight).sum().backward()
        self.optimisers["sgd"].step()
        self.counts["steps"] += 1
        self.drawn.append(self.generators["own"].random() + random.random() + torch.rand(()).item())
        return {"loss": self.weight.weight.detach().sum()}


def validation(values: list[float], *, patience: int | None) -> Validation:
    """One that measures these values, one each two steps."""
    remaining = iter(values)
    return Validation(
        measure=lambda: {"top1": next(remaining)}, metric="top1", higher_is_better=True, every=2, patience=patience
    )


def test_killed_run_goes_on_to_the_very_losses_of_one_that_was_not(tmp_path: Path) -> None:
    whole = subprocess.run([*PROGRAM, tmp_path / "whole"], check=True, capture_output=True, text=True).stdout
    with subprocess.Popen([*PROGRAM, tmp_path / "killed"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before = [process.stdout.readline() for _ in range(10)]
        process.kill()
    rest = subprocess.run([*PROGRAM, tmp_path / "killed"], check=True, capture_output=True, text=True).stdout
    losses = whole.splitlines(keepends=True)
    again = rest.splitlines(keepends=True)
    assert len(losses) == 20 and before == losses[:10]
    assert 1 <= len(again) <= 11 and again == losses[-len(again) :]


def test_resumed_run_draws_the_random_numbers_that_were_next(tmp_path: Path) -> None:
    whole, first, second = Counter(), Counter(), Counter()
    torch.manual_seed(0)
    random.seed(0)
    train(whole, Budget(steps=6, minutes=0), tmp_path / "whole", QUIET)
    torch.manual_seed(0)
    random.seed(0)
    train(first, Budget(steps=4, minutes=0), tmp_path / "parts", QUIET)
    torch.manual_seed(1)
    train(second, Budget(steps=6, minutes=0), tmp_path / "parts", QUIET)
    assert first.drawn + second.drawn == whole.drawn
    assert second.counts == {"steps": 6}


def test_training_ends_when_validation_gets_no_better_and_keeps_the_best_weights(tmp_path: Path) -> None:
    trainer, conditions = Counter(), Conditions(validation=validation([0.1, 0.9, 0.5, 0.9, 1.0], patience=2))
    progress = train(trainer, Budget(steps=100, minutes=0), tmp_path, QUIET, conditions)
    assert progress.step == 8  # two after step 4 were no better: an equal one is not
    assert trainer.value == 4


def test_resumed_run_remembers_its_best_weights_and_its_patience(tmp_path: Path) -> None:
    conditions = Conditions(validation=validation([0.9, 0.1], patience=2))
    train(Counter(), Budget(steps=4, minutes=0), tmp_path, QUIET, conditions)
    trainer, conditions = Counter(), Conditions(validation=validation([0.2], patience=2))
    assert train(trainer, Budget(steps=50, minutes=0), tmp_path, QUIET, conditions).step == 6
    assert trainer.value == 2


def test_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    budget = Budget(steps=2, minutes=0)
    train(Counter(), budget, tmp_path, QUIET, Conditions(options={"--batch": 4}))
    with pytest.raises(ConfigurationError, match=r"--batch was 4, now 8; start with --restart"):
        train(Counter(), budget, tmp_path, QUIET, Conditions(options={"--batch": 8}))


def test_tensorboard_hears_of_losses_rates_and_validation(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    conditions = Conditions(logs=tmp_path / "logs", validation=validation([0.5] * 10, patience=None))
    train(Counter(), Budget(steps=20, minutes=0), tmp_path, QUIET, conditions)
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss/loss")] == [(10, 10.0), (20, 20.0)]
    assert {"learning_rate/sgd", "validation/top1", "speed/pictures_a_second"} <= set(events.Tags()["scalars"])


def test_line_elsewhere_than_on_a_terminal_tells_speed_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from services.training import report

    monkeypatch.setattr(report, "LINE_SECONDS", 0.0)
    train(Counter(), Budget(steps=2, minutes=0), tmp_path, Console())
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith("step 2  loss 2.0000") and "pictures/s" in line and line.endswith("min left")


def test_progress_of_a_run_is_what_its_checkpoint_says(tmp_path: Path) -> None:
    done = train(Counter(), Budget(steps=3, minutes=0), tmp_path, QUIET)
    assert train(Counter(), Budget(steps=3, minutes=0), tmp_path, QUIET) == done != Progress()
