"""What a live source reports beside its events: when they came."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nirbridge_events.readers.base import Feed


@dataclass(frozen=True)
class Arrivals:
    """When events reached this machine.

    Attributes:
        tops: the latest time among the events so far [µs], int64 [N], one for each datagram or block.
        moments: when each came, on the clock ``time.perf_counter`` [s], float64 [N].
        since: the earliest of these times [µs], of a source that waits when it is not read.
        prompt: whether the reader was waiting for them, so that nothing older was on its way.
    """

    tops: npt.NDArray[np.int64]
    moments: npt.NDArray[np.float64]
    since: int | None = None
    prompt: bool = False


@dataclass
class LiveFeed(Feed):
    """A feed that also says when its events came.

    Attributes:
        patient: whether the sender waits when it is not read, as the writer of a pipe does.
    """

    patient: bool = False
    _arrivals: list[Arrivals] = field(default_factory=list)

    def arrived(self, arrivals: Arrivals) -> None:
        """Notes when the events of the next chunk came."""
        self._arrivals.append(arrivals)

    def take_arrivals(self) -> list[Arrivals]:
        """What was noted since the last call."""
        taken, self._arrivals = self._arrivals, []
        return taken
