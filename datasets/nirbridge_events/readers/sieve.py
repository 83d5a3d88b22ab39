"""Which events to keep where times contradict each other: those that fit one line of time, as many as can be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events, first_backwards

LOOK_BACK = 1 << 14
"""Events that may still be given up for later ones that contradict them."""
MOST_BRANCHES = 8
MOST_HELD = 4 * LOOK_BACK
"""Branches, and events in them, that wait for a decision; beyond it what goes back again is left out."""
MOST_BACK, BACK_SHARE = 10_000, 1000
"""So many times may go back, and one more for so many events; from then on they are left out without a decision, which
costs some 0.1 ms: events without any order are no recording."""
LOOK_AHEAD = 1 << 12
MOST_PARTS = 8
EARLIEST = -(1 << 63)


@dataclass
class _Branch:
    """Events that follow each other; a branch begins with a time that goes back, and may replace what it contradicts.

    Attributes:
        parts: the events.
        count: how many they are.
        top: the latest time among them and what comes before them.
        cut: the latest time before the branch that it does not contradict.
        rivals: number of events before the branch that it contradicts; one more of its own and it replaces them.
    """

    parts: list[Events]
    count: int
    top: int
    cut: float = math.inf
    rivals: float = math.inf

    def keep_until(self, time: float) -> int:
        """Drops events after ``time``; returns how many those were."""
        self.parts = [kept for part in self.parts if len(kept := part.select(part.t <= time))]
        before, self.count = self.count, sum(map(len, self.parts))
        return before - self.count


@dataclass
class TimeSieve:
    """Leaves out events whose times contradict the others.

    Two events contradict each other if the later one has a time more than ``jitter`` µs earlier.  When a time goes
    back that far, the events from there on and those before that they contradict cannot both be kept: what stands
    stays, unless more events follow on the new line than it contradicts.  So a few leftover events with a high time in
    front, a glitch forward and a glitch back each cost only themselves.  Of a clock that starts again, the first run is
    kept if it has more than LOOK_BACK events or as many as the next.

    What is kept does not depend on how the events were cut into chunks.

    Attributes:
        jitter: how far times may go back [µs].
        late: events left out because their times go back.
        ahead: events left out because their times are ahead of most of what follows.
        longest_back: the furthest that a time went back [µs].
    """

    jitter: int
    late: int = 0
    ahead: int = 0
    longest_back: int = 0
    _branches: list[_Branch] = field(default_factory=list)
    _released_top: float = -math.inf
    _taken: int = 0
    _backs: int = 0
    _unordered: bool = False

    def push(self, events: Events) -> Events:
        """Takes events, and gives those that will be kept whatever follows, in the order in which they came."""
        at = 0
        while at < len(events):
            stop = self._step(events, at)
            self._taken, at = self._taken + stop - at, stop
        return self._release(LOOK_BACK)

    def flush(self) -> Events:
        """Gives all that is kept."""
        while len(self._branches) > 1:
            self._drop_branch()
        return self._release(0)

    def _step(self, events: Events, at: int) -> int:
        """Takes some of the events from index ``at`` on; returns the index of the first that was not taken."""
        time = int(events.t[at])
        if not self._branches:
            self._branches.append(_Branch([], 0, time))
        while len(self._branches) > 1 and time >= self._branches[-2].top - self.jitter:
            self._drop_branch()
        current = self._branches[-1]
        if time < current.top - self.jitter:
            self.longest_back = max(self.longest_back, current.top - time)
            limit = current.top if self._full() else self._settled_top()
            if time < limit - self.jitter:
                stop = at + _first(events.t[at:] >= limit - self.jitter)
                self.late += stop - at
                self.longest_back = max(self.longest_back, current.top - int(events.t[at:stop].min()))
                return stop
            self._backs += 1
            self._unordered = self._backs > MOST_BACK + self._taken // BACK_SHARE
            cut = time + self.jitter
            rivals, top = self._line(cut, len(self._branches))
            current = _Branch([], 0, int(max(time, top)), cut, rivals)
            self._branches.append(current)
        return self._extend(current, events, at)

    def _extend(self, branch: _Branch, events: Events, at: int) -> int:
        """Adds events up to the first that goes back, fits the branch below, or is one too many for the decision."""
        room = min(len(events) - at, branch.rivals - branch.count + 1)
        t = events.t[at : at + int(room)]
        stop = len(t) if first_backwards(t, branch.top) is None else self._stop(branch, t[:LOOK_AHEAD])
        if branch.rivals < math.inf:
            stop = min(stop, _first(t >= self._branches[-2].top - self.jitter))
        branch.parts.append(events[at : at + stop])
        branch.count += stop
        branch.top = max(branch.top, int(t[:stop].max()))
        while branch.count > branch.rivals:
            branch = self._replace_below()
        return at + stop

    def _stop(self, branch: _Branch, t: npt.NDArray[np.int64]) -> int:
        tops = np.maximum.accumulate(np.concatenate(([branch.top], t[:-1])))
        return _first(t < tops - self.jitter)

    def _replace_below(self) -> _Branch:
        """The newest branch takes the place of what it contradicts in the branch below."""
        branch, below = self._branches.pop(), self._branches[-1]
        self.ahead += below.keep_until(branch.cut)
        below.parts += branch.parts
        below.count += branch.count
        below.top = branch.top
        if len(self._branches) > 1:
            below.cut = min(below.cut, branch.cut)
            below.rivals, _ = self._line(below.cut, len(self._branches) - 1)
        return below

    def _line(self, cut: float, depth: int) -> tuple[int, float]:
        """Of the line of the first ``depth`` branches: the number of events later than ``cut``, and the last other."""
        count, top, limit = 0, self._released_top, math.inf
        for branch in reversed(self._branches[:depth]):
            if len(branch.parts) > MOST_PARTS:
                branch.parts = [Events.concatenate(branch.parts)]
            for part in branch.parts:
                count += int(((part.t > cut) & (part.t <= limit)).sum())
                top = max(top, int(part.t.max(initial=EARLIEST, where=part.t <= min(cut, limit))))
            limit = min(limit, branch.cut)
        return count, top

    def _full(self) -> bool:
        held = sum(branch.count for branch in self._branches[1:])
        return len(self._branches) == MOST_BRANCHES or held > MOST_HELD or self._unordered

    def _drop_branch(self) -> None:
        self.late += self._branches.pop().count

    def _settled_top(self) -> float:
        """The latest time among the events that are too far back to be given up."""
        trunk, top = self._branches[0], self._released_top
        left = trunk.count - LOOK_BACK
        for part in trunk.parts:
            if left <= 0:
                break
            top = max(top, int(part.t[:left].max()))
            left -= len(part)
        return top

    def _release(self, kept: int) -> Events:
        if len(self._branches) != 1 or self._branches[0].count <= kept:
            return Events.concatenate([])
        trunk = self._branches[0]
        events = Events.concatenate(trunk.parts)
        ready = len(events) - kept
        self._released_top = max(self._released_top, int(events.t[:ready].max()))
        trunk.parts, trunk.count = [events[ready:]] if kept else [], kept
        return events[:ready]


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Index of the first true value; the length if there is none."""
    return int(mask.argmax()) if mask.any() else len(mask)
