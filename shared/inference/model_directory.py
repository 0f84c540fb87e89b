"""Reads and verifies a model directory: model.toml and the files it names, with their SHA-256. No torch here."""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import ModelDirectoryError
from shared.inference.architecture import Config, read_architecture
from shared.inference.predictor import ModelInfo

FILE_NAME = "model.toml"
SCHEMA = 1

Value = TypeVar("Value")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class ModelDirectory:
    """A model.toml that has been read and whose every key has the right type; `verify` checks the files."""

    path: Path
    name: str
    version: str
    task: str
    """`text`, `classification`, `generation` or `captioning`."""
    space: str
    licence: str
    description: str
    weights_file: str
    digest: str
    """The model's digest: SHA-256 of the weights file, lower-case hexadecimal."""
    files: Mapping[str, str]
    """Further files the model needs, with their SHA-256."""
    architecture: Mapping[str, Any]
    """Keyword arguments of the service's config class."""
    bucket_sizes: tuple[int, ...]
    """Batch sizes the model runs at, rising."""
    microbatch: int
    """Rows of each forward pass, always, where batch size must not change the result; 0 where it may."""
    languages: tuple[str, ...]
    """BCP 47 codes of the languages it answers in."""
    zero_shot_scale: float | None
    """Factor of the cosine between a picture and a label of the caller's own; None: that of the model's training."""
    temperature: Mapping[str, float]
    """By the name of a head of a classifier: what its logits are divided by; 1 where it is absent."""

    @staticmethod
    def read(path: Path, *, task: str) -> ModelDirectory:
        """Reads `path`/model.toml.

        Raises ModelDirectoryError, in one line: no such file, not TOML, a missing key, a wrong type, another schema or
        task.
        """
        file = path / FILE_NAME
        try:
            with file.open("rb") as stream:
                table = tomllib.load(stream)
        except OSError as error:
            raise ModelDirectoryError(f"{file}: cannot be read: {error.strerror}") from None
        except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
            raise ModelDirectoryError(f"{file}: is not TOML: {error}") from None
        for key, expected in (("schema", SCHEMA), ("task", task)):
            if table.get(key) != expected:
                raise ModelDirectoryError(f"{file}: {key}: expected {expected!r}, found {table.get(key)!r}")
        directory = ModelDirectory(
            path=path,
            name=_get(table, "name", str, file),
            version=_get(table, "version", str, file),
            task=task,
            space=_get(table, "space", str, file),
            licence=_get(table, "licence", str, file),
            description=_get(table, "description", str, file),
            weights_file=_get(table, "weights.file", str, file),
            digest=_get(table, "weights.sha256", str, file),
            files=_get(table, "files", dict, file, default={}),
            architecture=_get(table, "architecture", dict, file),
            bucket_sizes=tuple(_get(table, "serving.bucket_sizes", list, file)),
            microbatch=_get(table, "serving.microbatch", int, file, default=0),
            languages=tuple(_get(table, "serving.languages", list, file, default=[])),
            zero_shot_scale=table.get("serving", {}).get("zero_shot_scale"),
            temperature=_get(table, "serving.temperature", dict, file, default={}),
        )
        directory._check_buckets(file)
        if not all(type(language) is str for language in directory.languages):
            found = list(directory.languages)
            raise ModelDirectoryError(f"{file}: serving.languages: expected codes of languages, found {found}")
        if directory.microbatch < 0:
            raise ModelDirectoryError(f"{file}: serving.microbatch: expected at least 0, found {directory.microbatch}")
        scale = directory.zero_shot_scale
        if scale is not None and not _is_positive(scale):
            raise ModelDirectoryError(f"{file}: serving.zero_shot_scale: expected a number above 0, found {scale!r}")
        for head, value in directory.temperature.items():
            if not _is_positive(value):
                place = f"{file}: serving.temperature.{head}"
                raise ModelDirectoryError(f"{place}: expected a number above 0, found {value!r}")
        return directory

    def _check_buckets(self, file: Path) -> None:
        rising = all(type(size) is int for size in self.bucket_sizes) and list(self.bucket_sizes) == sorted(
            {size for size in self.bucket_sizes if size > 0}
        )
        if not rising or not self.bucket_sizes:
            found = list(self.bucket_sizes)
            raise ModelDirectoryError(f"{file}: serving.bucket_sizes: expected rising sizes from 1, found {found}")

    @property
    def weights_path(self) -> Path:
        """The safetensors file."""
        return self.path / self.weights_file

    def file(self, name: str) -> Path:
        """One of the further files. Raises ModelDirectoryError unless model.toml names it, and so its SHA-256."""
        if name not in self.files:
            raise ModelDirectoryError(f"{self.path / FILE_NAME}: files: {name} is missing; the model needs it")
        return self.path / name

    def verify(self) -> None:
        """Hashes the weights and all files. Raises ModelDirectoryError naming the file, the expected and the found."""
        for name, expected in {self.weights_file: self.digest, **self.files}.items():
            file = self.path / name
            if not file.is_file():
                raise ModelDirectoryError(f"{file}: is named in {FILE_NAME} but does not exist")
            if (found := sha256_of(file)) != expected:
                raise ModelDirectoryError(f"{file}: SHA-256: {FILE_NAME} says {expected}, the file has {found}")

    def config(self, kind: type[Config]) -> Config:
        """The `[architecture]` table as the service's config class. Raises ModelDirectoryError."""
        return read_architecture(self.architecture, kind, self.path / FILE_NAME)

    def info(self) -> ModelInfo:
        """What callers are told of the model."""
        return ModelInfo(
            name=self.name,
            version=self.version,
            digest=self.digest,
            space=self.space,
            bucket_sizes=self.bucket_sizes,
            languages=self.languages,
        )


def _is_positive(value: Any) -> bool:
    return type(value) in (float, int) and 0 < value < math.inf


def _get(table: Mapping[str, Any], key: str, kind: type[Value], file: Path, *, default: Value | None = None) -> Value:
    value: Any = table
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None and default is not None:
        return default
    if type(value) is not kind:
        found = "nothing" if value is None else repr(value)
        raise ModelDirectoryError(f"{file}: {key}: expected {kind.__name__}, found {found}")
    return value
