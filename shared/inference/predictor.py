"""The port to a model: what a predictor is, what it is told, and what it answers. No torch, no gRPC here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from shared.codes import Reason

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


@dataclass(frozen=True, kw_only=True)
class EnsembleMember:
    """A model directory whose answers count beside those of the first."""

    directory: Path
    weight: float
    """Above 0; the first has 1."""


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """What a process may use to run its model, and what it joins with it."""

    device: str = "auto"
    """`auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:N`."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` is bf16 where the hardware multiplies it natively, else fp32."""
    threads: int = 0
    """CPU threads of the model; 0 leaves one of the CPUs that the process may use to the front end; at least 1."""
    gpu_memory_fraction: float = 1.0
    """Of the GPU's memory, at most."""
    cuda_graphs: bool = True
    """On a GPU, replay recorded graphs; without, the same kernels are launched one by one."""
    ensemble: tuple[EnsembleMember, ...] = ()
    """Further models that answer together with the first, where a service can join several."""


@dataclass(frozen=True, kw_only=True)
class LabelName:
    """A class of a classifier, and what it is called."""

    id: str
    texts: Mapping[str, str]
    """The name by BCP 47 code of the language."""


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """A question that a classifier answers, and the labels it chooses from."""

    name: str
    multi_label: bool
    """Whether any number of labels fits a picture, each with a probability of its own, or exactly one."""
    labels: tuple[LabelName, ...]


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """The model behind a service, as model.toml states it."""

    name: str
    version: str
    digest: str
    """SHA-256 of the weights file, lower-case hexadecimal."""
    space: str
    """Id of the joint text-image space."""
    bucket_sizes: tuple[int, ...]
    """Batch sizes the model runs at, rising; the last is the largest batch."""
    languages: tuple[str, ...] = ()
    """BCP 47 codes of the languages it answers in; empty where it answers in none."""
    heads: tuple[HeadInfo, ...] = ()
    """What it knows classes of; the first answers where none is named. Empty where it knows none."""
    image_side: int = 0
    """Width and height of the pictures it paints, in pixels; 0 where it paints none."""

    @property
    def labels(self) -> tuple[LabelName, ...]:
        """The classes of the first head; empty where there is none."""
        return self.heads[0].labels if self.heads else ()

    @property
    def max_batch_size(self) -> int:
        """The most items of one batch."""
        return self.bucket_sizes[-1]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one item of a batch has no answer; its batch-mates have theirs."""

    reason: Reason
    """Its code is INVALID_ARGUMENT or FAILED_PRECONDITION for bad input, INTERNAL for what the model got wrong."""
    message: str
    """One line with value and limit."""
    field: str = ""
    """Path of the field at fault, where it is not the item itself."""


@dataclass(frozen=True, kw_only=True)
class Padding:
    """What the forward passes of one batch computed in vain."""

    items: int = 0
    """Rows that no item filled."""
    tokens: int = 0
    """Tokens of texts; 0 where a model reads none."""
    padding_tokens: int = 0
    """Places for tokens that no text filled, those of padding rows among them."""


@runtime_checkable
class CountsPadding(Protocol):
    """A predictor whose passes are not simply its buckets."""

    padding: Padding
    """Of the last batch."""


class Predictor(Protocol[In, Out]):
    """A model that is ready to run, in the model process."""

    @property
    def info(self) -> ModelInfo:
        """What is served."""

    @property
    def device(self) -> str:
        """Where and how it runs, such as `cpu bf16 2 threads`."""

    def warmup(self) -> None:
        """Runs each bucket size once, so that no caller meets a cold shape."""

    def predict(self, batch: Sequence[In], /) -> Sequence[Out | Failure]:
        """Answers 1 to `info.max_batch_size` items, in order: decode, run, encode."""


LoadPredictor = Callable[[Path, RuntimeOptions], Predictor[Any, Any]]
"""What a service's predictor module offers as `load`: reads and verifies a model directory.

Raises ModelDirectoryError.
"""
