"""A data set on many workers, on paper: the model behind the second table of ``benchmarks/jobs.py``.

One process hands out pieces of ``batch`` samples and takes the results, each of W workers does one piece at a time:

    worker w can begin at       start + (w + 1) * share      it starts beside the others; what is shared goes out
                                                             from one process, to one worker after the other
    a piece occupies a worker   way + batch * sample         the way there and back, then encoding and running
    and the one process         hand + batch * row           pickling, sockets, bookkeeping; the results' rows

The one process serves in the order in which workers ask. With n samples the time can be no shorter than

    n * sample / W                      the work itself, which efficiency is measured by,
    n * (hand / batch + row)            what the one process does, however many workers there are,
    start + way + batch * sample        a worker's first piece,

and so the one process is the limit from W* = (way + batch * sample) / (hand + batch * row) workers on. Not in the
model: a file server that all read from, workers of unlike speed, lost workers.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Seconds, each measured.

    Attributes:
        start: from nothing to a worker that has imported, unpacked and compiled all.
        share: of the one process, to send a worker what is shared.
        hand: of the one process, for a piece.
        row: of the one process, for a sample's result.
        way: of a piece beyond its work, from hand to hand.
        sample: to encode and run one.
    """

    start: float
    share: float
    hand: float
    row: float
    way: float
    sample: float


@dataclass(frozen=True)
class Forecast:
    """What the model says.

    Attributes:
        seconds: until the last result is there.
        efficiency: time of the work alone, divided among the workers, over ``seconds``.
        most_workers: W*, from which on the one process is the limit.
    """

    seconds: float
    efficiency: float
    most_workers: float


def forecast(samples: int, workers: int, batch: int, costs: Costs) -> Forecast:
    """Goes through all pieces in the order in which workers ask for them."""
    asking = [costs.start + (number + 1) * costs.share for number in range(workers)]
    heapq.heapify(asking)
    served = last = 0.0
    for first in range(0, samples, batch):
        count = min(batch, samples - first)
        served = max(served, heapq.heappop(asking)) + costs.hand + count * costs.row
        done = served + costs.way + count * costs.sample
        heapq.heappush(asking, done)
        last = max(last, done)
    ideal = samples * costs.sample / workers
    most = (costs.way + batch * costs.sample) / (costs.hand + batch * costs.row)
    return Forecast(last, ideal / last, most)
