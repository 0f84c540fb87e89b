"""What a person sees of a training run: a live line on a terminal, lines elsewhere, TensorBoard's files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text
from torch import Tensor

from services.training.checkpoint import Progress

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LIVE_SECONDS = 0.5
LINE_SECONDS = 10.0
LOG_STEPS = 10
"""TensorBoard hears of each tenth step: reading a loss makes a GPU wait."""


class Report:
    """Shows and logs one session of training; as a context manager it closes both."""

    def __init__(self, console: Console, *, logs: Path | None, unit: str) -> None:
        self._console, self._unit = console, unit
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._writer = _writer(logs) if logs is not None else None
        self._first: int | None = None
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Report:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        if self._writer is not None:
            self._writer.close()

    def step(
        self, progress: Progress, share: float, items: int, losses: Mapping[str, Tensor], rates: Mapping[str, float]
    ) -> None:
        """Hears of each step: the losses, the items of a step, and the learning rate of each optimiser."""
        if self._first is None:
            self._first = progress.step - 1
        now = time.monotonic()
        speed = (progress.step - self._first) * items / max(1e-9, now - self._started)
        if now - self._shown > (LIVE_SECONDS if self._live else LINE_SECONDS):
            self._show(self._line(progress, share, speed, losses))
            self._shown = now
        if self._writer is not None and progress.step % LOG_STEPS == 0:
            scalars = {f"loss/{name}": value.item() for name, value in losses.items()}
            scalars |= {f"learning_rate/{name}": value for name, value in rates.items()}
            for name, value in (scalars | {f"speed/{self._unit}_a_second": speed}).items():
                self._writer.add_scalar(name, value, progress.step)

    def measured(self, progress: Progress, metrics: Mapping[str, float], *, best: bool) -> None:
        """Hears of each measurement on validation."""
        values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self._console.print(f"step {progress.step}  validation: {values}{'  (best)' if best else ''}", soft_wrap=True)
        if self._writer is not None:
            for name, value in metrics.items():
                self._writer.add_scalar(f"validation/{name}", value, progress.step)

    def _line(self, progress: Progress, share: float, speed: float, losses: Mapping[str, Tensor]) -> str:
        left = progress.seconds / 60 * (1 - share) / max(share, 1e-6)
        values = "  ".join(f"{name} {value.item():.4f}" for name, value in losses.items())
        return f"step {progress.step}  {values}  {speed:.0f} {self._unit}/s  {left:.1f} min left"

    def _show(self, line: str) -> None:
        if self._live is not None:
            self._live.update(Text(line), refresh=True)
        else:
            self._console.print(line, soft_wrap=True)


def _writer(folder: Path) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter  # a second to import, and only the extra `train` has it

    return SummaryWriter(str(folder))
