"""Network → connected Lava Processes, and the executable that Lava compiles from them."""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.process.variable import VarServer
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.dense.models import PyDenseModelFloat
from lava.proc.dense.process import Dense

from nirbridge_lava.kernels import Product
from nirbridge_lava.processes import nodes
from nirbridge_lava.shared import SharedMemory
from nirbridge_lava.stages import Network, Stage

_CHANNEL_FRAMES = 2
"""All processes end a step before any begins the next, so a channel never holds more than one frame."""


def build(network: Network, memory: SharedMemory) -> tuple[AbstractProcess, ...]:
    """The connected Lava Processes: one for each stage, or one for all."""
    if network.fused:
        return (nodes.FusedGraph(network, memory),)
    built = {stage.name: _process(stage, memory, network.model) for stage in network.stages}
    for stage in network.stages:
        process = built[stage.name]
        for sender in stage.senders:
            out = built[sender].a_out if isinstance(built[sender], Dense) else built[sender].s_out
            out.connect(process.s_in if isinstance(process, Dense) else process.a_in)
    return tuple(built.values())


def _process(stage: Stage, memory: SharedMemory, model: str) -> AbstractProcess:
    cell = stage.cell
    if model == "floating_pt" and cell.process == "MatrixSynapse" and stage.constant is None and _is_dense(stage):
        # Without message bits Lava reduces what arrives to spike or no spike.
        return Dense(weights=cell.parameters.weight, num_message_bits=32, name=stage.name)
    return nodes.process_class(cell.process)(stage, memory)


def _is_dense(stage: Stage) -> bool:
    """Whether Lava's own Dense does it: one vector times one matrix."""
    p = stage.cell.parameters
    return type(p) is Product and stage.takes[0] == 1 and (p.weight.ndim, len(p.shape)) == (2, 1)


def compile_processes(processes: tuple[AbstractProcess, ...], model: str) -> Any:
    """Lava's executable for connected Processes, with the models that carry the tag ``model``.

    The models are named, since Lava would look for each by running every file in the folder of its Process anew, which
    takes half of the time that a program takes to start.
    """
    chosen = {p: PyDenseModelFloat if isinstance(p, Dense) else p.models[model] for p in processes}
    config = Loihi2SimCfg(select_tag=model, exception_proc_model_map=chosen)
    return processes[0].compile(config, {"pypy_channel_size": _CHANNEL_FRAMES})


def forget(processes: tuple[AbstractProcess, ...]) -> None:
    """Takes Processes off Lava's lists of all Processes and Vars ever made, which would keep their weights for good."""
    gone = set(map(id, processes))
    server, variables = ProcessServer(), VarServer()
    server.processes = [process for process in server.processes if id(process) not in gone]
    variables.vars = [variable for variable in variables.vars if id(variable.process) not in gone]
