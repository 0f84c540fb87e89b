"""k-fold cross-validation of the classifier (Stone 1974): a model judges each picture that never saw it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from rich.text import Text

from services.training.data.own_pictures import OwnPictures
from services.training.own.run import OwnRun
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHINESE_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "PingFang SC", "Microsoft YaHei")
MOST_NUMBERS = 30
"""Labels up to which a confusion matrix has its numbers written in."""

Predict = Callable[[NDArray[np.int64], NDArray[np.int64], int], NDArray[np.int64]]
"""(rows, rows to train on, fold) -> the label of each of `rows`."""


def cross_validate(
    run: OwnRun, data: OwnPictures, labels: Sequence[str], count: int, predict: Predict
) -> dict[str, float]:
    """Judges every row by a model of the other folds; writes folds.json and confusion.png, prints a table.

    Returns accuracy and macro F1. Raises ConfigurationError when there are fewer pictures than folds.
    """
    pictures = len(set(data.digests))
    if pictures < count:
        raise ConfigurationError(f"--folds {count}: there are {pictures} different pictures")
    folds = data.folds(count)
    truth = np.array([labels.index(label) for label in data.labels])
    predicted = np.empty_like(truth)
    for fold in range(count):
        rows = np.flatnonzero(folds == fold)
        run.console.print(f"fold {fold + 1} of {count}: {len(rows)} of {len(truth)} entries held out")
        predicted[rows] = predict(rows, np.flatnonzero(folds != fold), fold + 1)
    result = judge(truth, predicted, labels)
    if run.processes.leads:
        folder = run.options.folder
        (folder / "folds.json").write_text(
            json.dumps({"folds": count, **result}, ensure_ascii=False, indent=1) + "\n", "utf-8"
        )
        draw_confusion(np.array(result["confusion"]), labels, folder / "confusion.png")
        run.console.print(_table(result))
        run.console.print(f"wrote {folder / 'folds.json'} and {folder / 'confusion.png'}", soft_wrap=True)
    return {"cross_validated_top1": result["accuracy"], "cross_validated_macro_f1": result["macro_f1"]}


def judge(truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro F1, precision, recall and F1 of each label, and the confusion matrix: rows are true labels.

    A label that is never predicted has a precision of 0, one without pictures a recall of 0.
    """
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    right = confusion.diagonal()
    precision = right / np.maximum(1, confusion.sum(axis=0))
    recall = right / np.maximum(1, confusion.sum(axis=1))
    f1 = 2 * precision * recall / np.maximum(1e-12, precision + recall)
    classes = [
        {"label": label, "entries": int(row.sum()), "precision": float(p), "recall": float(r), "f1": float(f)}
        for label, row, p, r, f in zip(labels, confusion, precision, recall, f1, strict=True)
    ]
    return {
        "accuracy": float(right.sum() / confusion.sum()),
        "macro_f1": float(f1.mean()),
        "classes": classes,
        "confusion": confusion.tolist(),
    }


def draw_confusion(confusion: NDArray[np.int64], labels: Sequence[str], file: Path) -> None:
    """Paints (true, predicted) counts as a PNG, rows shaded by their share."""
    # Half a second to import, and only the extra `train` has it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.font_manager import get_font_names

    side = 2.5 + 0.35 * len(labels)
    fonts = ["DejaVu Sans", *(name for name in CHINESE_FONTS if name in get_font_names())]
    with rc_context({"font.family": fonts, "text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box stands for it; folds.json has the label
        figure = Figure(figsize=(side, side), layout="constrained")
        _paint_confusion(figure, confusion, labels)
        figure.savefig(file)


def _paint_confusion(figure: Figure, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    axes = figure.subplots()
    shares = confusion / np.maximum(1, confusion.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= MOST_NUMBERS:
        for (row, column), number in np.ndenumerate(confusion):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(number), ha="center", va="center", color=colour)


def _table(result: dict[str, Any]) -> Table:
    table = Table("label", "entries", "precision", "recall", "F1")
    for one in result["classes"]:
        numbers = (f"{one[name]:.3f}" for name in ("precision", "recall", "f1"))
        table.add_row(Text(one["label"]), str(one["entries"]), *numbers)
    table.caption = f"accuracy {result['accuracy']:.3f}, macro F1 {result['macro_f1']:.3f}"
    return table
