"""Processes that move frames: in, out, past the depth of another branch, into and out of a longer vector."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge_lava.network import in_area, out_area
from nirbridge_lava.windowed import IntegerPorts, WindowedModel, WindowedProcess, fixed_pt, floating_pt

Array = NDArray[Any]


class FrameSource(WindowedProcess):
    """Sends the frames of the block, one portion a step."""


class _FrameSourceModel(WindowedModel):
    """Reads shared memory."""

    def run_spk(self) -> None:
        """One portion, or zeros outside of the block."""
        self.board.beat()
        inside = self.locate()
        self.s_out.send(self.fetch(in_area(self.unit.name)).reshape(-1) if inside else self.silence)


@floating_pt(FrameSource)
class PyFrameSourceFloat(_FrameSourceModel):
    """Double precision."""


@fixed_pt(FrameSource)
class PyFrameSourceFixed(IntegerPorts, _FrameSourceModel):
    """Integers."""


class FrameSink(WindowedProcess):
    """Keeps what one node sends for the frames of the block."""


class _FrameSinkModel(WindowedModel):
    """Writes shared memory."""

    def run_spk(self) -> None:
        """One portion."""
        x = self.receive()
        if x is not None:
            self.keep(out_area(self.parameters), x)


@floating_pt(FrameSink)
class PyFrameSinkFloat(_FrameSinkModel):
    """Double precision."""


@fixed_pt(FrameSink)
class PyFrameSinkFixed(IntegerPorts, _FrameSinkModel):
    """Integers."""


class Align(WindowedProcess):
    """The input some Lava steps later, so that branches of different depth meet at the same frame."""


class _AlignModel(WindowedModel):
    """A queue of frames."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.queue: deque[Array] = deque([self.silence] * self.parameters)

    def run_spk(self) -> None:
        """Sends the oldest frame and keeps the new one."""
        self.s_out.send(self.queue.popleft())
        self.queue.append(self.a_in.recv())


@floating_pt(Align)
class PyAlignFloat(_AlignModel):
    """Double precision."""


@fixed_pt(Align)
class PyAlignFixed(IntegerPorts, _AlignModel):
    """Integers."""


class Relay(WindowedProcess):
    """The input with a constant added, in the same step."""


class _RelayModel(WindowedModel):
    """Passes frames on."""

    def respond(self, x: Array) -> Array:
        """The frame itself."""
        return x


@floating_pt(Relay)
class PyRelayFloat(_RelayModel):
    """Double precision."""


@fixed_pt(Relay)
class PyRelayFixed(IntegerPorts, _RelayModel):
    """Integers."""


class Place(WindowedProcess):
    """The input as some values of a longer vector whose others are 0."""


class _PlaceModel(WindowedModel):
    """Passes frames on."""

    def respond(self, x: Array) -> Array:
        """The longer frame."""
        where = self.parameters
        y = np.zeros((*x.shape[:-1], where.length), dtype=x.dtype)
        y[..., where.begin : where.end] = x
        return y


@floating_pt(Place)
class PyPlaceFloat(_PlaceModel):
    """Double precision."""


@fixed_pt(Place)
class PyPlaceFixed(IntegerPorts, _PlaceModel):
    """Integers."""


class Take(WindowedProcess):
    """Some values of a longer vector."""


class _TakeModel(WindowedModel):
    """Passes frames on."""

    def respond(self, x: Array) -> Array:
        """The shorter frame."""
        return x[..., self.parameters]


@floating_pt(Take)
class PyTakeFloat(_TakeModel):
    """Double precision."""


@fixed_pt(Take)
class PyTakeFixed(IntegerPorts, _TakeModel):
    """Integers."""


class Tie(WindowedProcess):
    """Receives and sends nothing: it connects parts of a graph that would else be separate networks to Lava."""


class _TieModel(WindowedModel):
    """Passes frames on."""

    def run_spk(self) -> None:
        """Takes the message off its channel."""
        self.a_in.recv()
        self.s_out.send(self.silence)


@floating_pt(Tie)
class PyTieFloat(_TieModel):
    """Double precision."""


@fixed_pt(Tie)
class PyTieFixed(IntegerPorts, _TieModel):
    """Integers."""
