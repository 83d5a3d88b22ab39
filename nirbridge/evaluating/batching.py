"""How many samples run together, so that memory does not depend on the data set's size."""

from __future__ import annotations

from math import prod

from nirbridge.evaluating.judges import GraphJudge
from nirbridge.reports import counted
from nirbridge.runtime import Plan

_AIM = 64 * 2**20
"""Bytes of data and records that run together."""
_MOST = 256
_TOLD = 2**21
"""Scores from which on their memory is told: 16 MB."""
_BYTES = 12
"""A value of a record: eight bytes in double precision, and what counting makes of it on the way."""


def batch_size(judge: GraphJudge, steps: int) -> tuple[int, int]:
    """(samples that run together, bytes that each takes about) at so many input steps a sample.

    Those are data and records, and all that nodes send where the runtime holds it.
    """
    plan = judge.program().plan
    names = {*plan.inputs, *plan.outputs, *judge.neurons(), *(judge.meter.records if judge.meter else ())}
    if judge.program().holds_all:
        names |= {*plan.names}
    sample = max(1, round(sum(_values(plan, name) for name in names) * steps * _BYTES))
    return max(1, min(_MOST, _AIM // sample)), sample


def batch_line(batch: int, sample: int, workers: int, scores: int) -> str:
    """What is said before the evaluation starts; ``scores`` are how many numbers are kept of all samples."""
    size = f"{batch * sample * workers / 2**20:,.0f} MB"
    each = f" in each of {counted(workers, 'process', 'processes')}" if workers > 1 else ""
    batches = f"Batches of {counted(batch, 'sample')}{each}"
    kept = f"; their scores take {scores * 8 / 2**20:,.0f} MB" if scores >= _TOLD else ""
    return f"{batches}: about {size} of data and records, however many samples there are{kept}."


def idle_lines(batch: int, samples: int, workers: int) -> list[str]:
    """What is said where there are fewer batches than processes: whoever chooses jobs does not choose other bits."""
    batches, smaller = -(-samples // batch), -(-samples // workers)
    if batches >= workers or smaller == batch:
        return []
    busy = f"{counted(batches, 'batch', 'batches')} for {workers} processes"
    return [f"{busy}: with --batch {smaller} more of them work at once."]


def _values(plan: Plan, name: str) -> float:
    return prod(plan[name].output_shape) * float(plan[name].rate)
