"""One row a sample, as CSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from nirbridge.errors import UnsupportedError
from nirbridge.evaluating.evaluation import Evaluation
from nirbridge.evaluating.work import BAD
from nirbridge.files import whole_file

SUFFIXES = (".csv", ".parquet")
Cell = int | float | str | None
_FIRST = "index", "file", "label", "prediction", "margin", "steps", "spikes", "milliseconds", "problem"
_GROUP = 4096
"""Rows of a group of Parquet, which are in memory together."""


def write_predictions(path: Path, found: Evaluation) -> None:
    """Writes a row for each sample, in order: index, file, label, prediction, margin and more.

    What is not known is empty (null in Parquet): label without labels, all numbers of a bad sample, what a further
    judge could not decide.  ``prediction_*`` are those of further judges, ``score_0`` and so on the scores after the
    last step.  Bytes of a file's name that are no UTF-8 are written out, as ``\\udcff``.

    Raises:
        FileError: the file cannot be written.
        UnsupportedError: Parquet is wanted and pyarrow is not installed.
    """
    if path.suffix.lower() == ".parquet":
        _write_parquet(path, found)
        return
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns(found))
        table.writerows(rows(found))
        text.detach()


def require_parquet() -> None:
    """Refuses Parquet before the work begins, where pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UnsupportedError("Parquet", "needs pyarrow", "Run: pip install pyarrow, or write .csv") from error


def columns(found: Evaluation) -> list[str]:
    """Names of the columns."""
    others = [f"prediction_{name}" for name in found.all_predictions if name != found.judge]
    scores = [f"score_{number}" for number in range(found.classes)]
    return [*_FIRST, *others, *scores]


def rows(found: Evaluation) -> Iterator[list[Cell]]:
    """The rows, in the order of the samples."""
    others = [decisions for name, decisions in found.all_predictions.items() if name != found.judge]
    for number, good in enumerate(found.good.tolist()):
        label = None if found.labels is None else int(found.labels[number])
        spikes = None if found.spikes is None or not good else int(found.spikes[number])
        yield [
            number,
            _text(found.files[number] if found.files else ""),
            label,
            int(found.predictions[number]) if good else None,
            float(found.margins[number]) if good else None,
            int(found.steps[number]) if good else None,
            spikes,
            round(float(found.milliseconds[number]), 4) if good else None,
            _text(found.bad.get(number, found.lost.get(number, ""))),
            *(None if decisions[number] == BAD else int(decisions[number]) for decisions in others),
            *(found.scores[number].tolist() if good else [None] * found.classes),
        ]


def _text(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _write_parquet(path: Path, found: Evaluation) -> None:
    require_parquet()
    import pyarrow
    from pyarrow import parquet

    names, real = columns(found), {"margin", "milliseconds"}
    kinds = {"file": pyarrow.string(), "problem": pyarrow.string()}
    schema = pyarrow.schema(
        [
            (name, kinds.get(name, pyarrow.float64() if name in real or name.startswith("score_") else pyarrow.int64()))
            for name in names
        ]
    )
    table = rows(found)
    with whole_file(path) as file, parquet.ParquetWriter(pyarrow.PythonFile(file, mode="w"), schema) as writer:
        while some := list(islice(table, _GROUP)):
            writer.write_batch(pyarrow.record_batch(list(map(list, zip(*some, strict=True))), schema=schema))
