"""A folder where the commands of `diptych train builtin` run with tiny models."""

from __future__ import annotations

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from services.training.cli import train
from tests.services.training.builtin.material import write_material


class Workplace:
    """A folder with data, where commands run."""

    def __init__(self, root: Path) -> None:
        self.models, self.checkpoints = root / "models", root / "checkpoints"
        self._material = write_material(root)

    def run(self, command: str, *more: str, steps: int) -> str:
        """The command's output."""
        arguments = ["--out", f"{self.models}", "--checkpoints", f"{self.checkpoints}", "--preset", "tiny"]
        arguments += ["--batch", "8", "--steps", f"{steps}", "--device", "cpu", "--seed", "3", *self._material, *more]
        return self._invoke(command, *arguments)

    def fit_concepts(self, start: Path) -> None:
        """Of the encoder in `start`."""
        arguments = ["--out", f"{self.models}", "--device", "cpu", "--seed", "3", "--from", f"{start}"]
        material = [*self._material[:2], *self._material[4:]]  # no lexicon
        self._invoke("concepts", *arguments, *material)

    def _invoke(self, command: str, *arguments: str) -> str:
        result = CliRunner().invoke(train, ["builtin", command, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def card(self, task: str) -> dict[str, dict[str, object]]:
        """model.toml."""
        return tomllib.loads((self.models / task / "model.toml").read_text("utf-8"))

    def weights(self, task: str) -> bytes:
        """The file of them."""
        return (self.models / task / "model.safetensors").read_bytes()
