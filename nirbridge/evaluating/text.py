"""An evaluation as text for terminals."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nirbridge.costing.text import energy_text, ratio_text
from nirbridge.evaluating.figures import Figures
from nirbridge.reports import count_text, counted, seconds_text, table
from nirbridge.runtime import Array

_MOST_CLASSES = 20
_MOST_BAD = 5


def evaluation_text(found: Figures) -> str:
    """What a reader wants first stands first: accuracy, then how sure, how soon, at what cost, and what is amiss."""
    return "\n".join(
        (*_accuracy(found), *_steps(found), *_cost(found), *_judges(found), *_confusion(found), *_amiss(found))
    )


def _accuracy(found: Figures) -> Iterable[str]:
    if found.correct is None or found.interval is None or found.accuracy is None:
        yield f"{counted(found.samples, 'sample')} decided on '{found.judge}'; no labels, so no accuracy"
        return
    low, high = found.interval
    right = f"{count_text(found.correct)} of {counted(found.samples, 'sample')}"
    yield f"accuracy     {found.accuracy:.2%} ({right}; 95 % interval {low:.2%} to {high:.2%}), on '{found.judge}'"
    if found.classes > 5:
        yield f"top 5        {found.top(5):.2%}"


def _steps(found: Figures) -> Iterable[str]:
    if found.by_step is None or found.settled is None or len(found.by_step) < 2:
        return
    shown = ", ".join(f"{step} {found.by_step[step - 1]:.1%}" for step in _chosen(len(found.by_step)))
    yield f"by step      {shown}"
    yield f"             within 1 % of the last from step {found.settled} of {len(found.by_step)} on"


def _chosen(last: int) -> list[int]:
    """Some steps, close together at the start: 1, 2, 4, .. and the last."""
    steps = [2**power for power in range(last.bit_length()) if 2**power < last]
    return [*(steps if len(steps) < 8 else steps[:: len(steps) // 6]), last]


def _cost(found: Figures) -> Iterable[str]:
    if found.spikes is not None:
        yield f"spikes       {found.spikes[found.good].mean():,.0f} a sample"
    if found.cost is not None:
        cost = found.cost
        yield (
            f"energy       {energy_text(cost.pj)} a sample (model '{cost.model}', {cost.bits} bits), the ANN "
            f"{energy_text(cost.ann_pj)}, ANN/SNN {ratio_text(cost.ratio)}"
        )
    if found.seconds:
        per = float(np.mean(found.milliseconds[found.good])) * 1e-3
        rate = f"{found.throughput:,.0f} samples/s; a run {seconds_text(per)} a sample"
        yield f"time         {seconds_text(found.seconds)}, {rate}"


def _judges(found: Figures) -> Iterable[str]:
    for name in found.all_predictions:
        if name != found.judge:
            own = found.accuracy_of(name)
            accuracy = "" if own is None else f"accuracy {own:.2%}, "
            yield f"{name:<12} {accuracy}{found.differing(name):,} of {found.samples:,} decisions differ"


def _confusion(found: Figures) -> Iterable[str]:
    if found.confusion is None:
        return
    if found.classes > _MOST_CLASSES:
        yield _most_confused(found.confusion)
        return
    names = [str(number) for number in range(found.classes)]
    rows = [(name, *(count or "." for count in row)) for name, row in zip(names, found.confusion.tolist(), strict=True)]
    yield ""
    yield table(("label", *names), rows, right=names)


def _most_confused(matrix: Array) -> str:
    off = matrix - np.diag(np.diag(matrix))
    places = np.argsort(off, axis=None)[::-1][:_MOST_BAD]
    pairs = [tuple(int(n) for n in np.unravel_index(place, off.shape)) for place in places]
    texts = [f"{row} as {column} ({off[row, column]})" for row, column in pairs if off[row, column]]
    return f"confused     {', '.join(texts) or 'none'}"


def _amiss(found: Figures) -> Iterable[str]:
    if found.ties:
        yield f"{counted(found.ties, 'sample')} had two best scores; the lower class was taken"
    if found.bad:
        yield f"{counted(len(found.bad), 'bad sample')} left out, which no figure counts:"
        for number, text in list(found.bad.items())[:_MOST_BAD]:
            yield f"  {number}: {text}"
        if len(found.bad) > _MOST_BAD:
            yield f"  and {len(found.bad) - _MOST_BAD} more"
    if found.lost:
        number, text = next(iter(found.lost.items()))
        yield f"Of {counted(len(found.lost), 'sample')} something was left out; of {number}: {text}"
