"""Network → connected Lava Processes, and the executable that Lava compiles from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense import models as dense_models
from lava.proc.dense.process import Dense

from nirbridge_lava.network import Network, Unit
from nirbridge_lava.processes import frames, fused, neurons, phases, stateless
from nirbridge_lava.shared import Board
from nirbridge_lava.windowed import PortlessProcess

_CHANNEL_FRAMES = 2
"""All processes end a step before any begins the next, so a channel never holds more than one frame."""


MODULES = (frames, fused, neurons, phases, stateless)


def _processes_of(module: Any) -> dict[str, Callable[[Unit, Board], AbstractProcess]]:
    return {
        name: cls
        for name, cls in vars(module).items()
        if isinstance(cls, type) and issubclass(cls, PortlessProcess) and cls.__module__ == module.__name__
    }


def _dense(unit: Unit, board: Board) -> AbstractProcess:
    # Without message bits Lava reduces what arrives to spike or no spike.
    return Dense(weights=unit.cell.parameters.weight, num_message_bits=32, name=unit.name)


PROCESSES: dict[str, Callable[[Unit, Board], AbstractProcess]] = {
    **{name: cls for module in MODULES for name, cls in _processes_of(module).items()},
    "Dense": _dense,
}


def _models() -> dict[tuple[type[AbstractProcess], str], type]:
    """Process and tag → model."""
    classes = [cls for module in (*MODULES, dense_models) for cls in vars(module).values() if isinstance(cls, type)]
    own = [cls for cls in classes if getattr(cls, "implements_process", None) is not None]
    return {(cls.implements_process, tag): cls for cls in own for tag in cls.tags}


MODELS = _models()


def build(network: Network, board: Board) -> tuple[AbstractProcess, ...]:
    """One connected Lava Process for each unit."""
    processes = tuple(PROCESSES[unit.cell.process](unit, board) for unit in network.units)
    for unit, receiver in zip(network.units, processes, strict=True):
        for sender in unit.senders:
            _out_port(processes[sender]).connect(_in_port(receiver))
    return processes


def compile_processes(processes: tuple[AbstractProcess, ...], model: str) -> Any:
    """Lava's executable for connected Processes, with the models that carry the tag ``model``.

    The models are named, since Lava would look for each by running every file in the folder of its Process anew, which
    takes half of the time that a program takes to start.
    """
    chosen = {process: MODELS[type(process), model] for process in processes}
    config = Loihi2SimCfg(select_tag=model, exception_proc_model_map=chosen)
    return processes[0].compile(config, {"pypy_channel_size": _CHANNEL_FRAMES})


def forget(processes: tuple[AbstractProcess, ...]) -> None:
    """Takes Processes off Lava's lists of all Processes and Vars ever made, which would keep their weights for good."""
    gone = set(map(id, processes))
    server, variables = ProcessServer(), VarServer()
    server.processes = [process for process in server.processes if id(process) not in gone]
    variables.vars = [variable for variable in variables.vars if id(variable.process) not in gone]


def _out_port(process: AbstractProcess) -> OutPort:
    return process.a_out if isinstance(process, Dense) else process.s_out


def _in_port(process: AbstractProcess) -> InPort:
    return process.s_in if isinstance(process, Dense) else process.a_in
