"""How the program and a process that holds the whole graph hand data to each other.

A command to Lava and its answer pass two more processes, and so does the end of every Lava step.
So the program has Lava run for many steps, and the process waits in its step until data are there and takes many
portions in one: two pipes are all that a step of streaming costs.
"""

from __future__ import annotations

import os
import select


class Gate:
    """Two pipes, made before the processes fork."""

    portions_in_a_step = 256
    """How many portions make one Lava step of the process."""

    def __init__(self) -> None:
        self._go = os.pipe()
        self._done = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._done[0], select.POLLIN)

    def open(self) -> None:
        """The program: a block of portions is there."""
        os.write(self._go[1], b"g")

    def passed(self, seconds: float) -> bool:
        """The program: whether the block has been worked through, after so many seconds at most."""
        return bool(self._poll.poll(seconds * 1e3)) and bool(os.read(self._done[0], 1))

    def wait(self) -> None:
        """The process: for the next block.  It ends in here with its parent, as everywhere, by its parent watch."""
        os.read(self._go[0], 1)

    def report(self) -> None:
        """The process: the block has been worked through."""
        os.write(self._done[1], b"d")

    def close(self) -> None:
        """Closes the program's ends, and its copies of the process's."""
        for number in (*self._go, *self._done):
            os.close(number)
