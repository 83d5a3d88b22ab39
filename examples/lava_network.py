"""A Lava program of the user's own with a graph in its middle, compiled and run by Lava itself.

    python examples/lava_network.py [--fixed]

Lava's RingBuffer plays spikes, Lava's Dense shuffles them, the graph is one Process, a Process written here counts what
leaves it, and Lava's Monitor watches a membrane inside.  The same data run by ``runtime="reference"`` must give the
same, value by value; the script ends with exit code 1 if one differs.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Any

import click
import nir
import numpy as np
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.process import Dense
from lava.proc.io.source import RingBuffer
from lava.proc.monitor.process import Monitor

import nirbridge
import nirbridge_lava
from nirbridge.ir import MultiLevelLIF, build_graph

STEPS, SIZE, HIDDEN, CLASSES = 20, 12, 8, 3


class Votes(AbstractProcess):
    """Keeps what came at each step."""

    def __init__(self, shape: tuple[int, ...], steps: int) -> None:
        super().__init__(shape=shape)
        self.a_in = InPort(shape=shape)
        self.kept = Var(shape=(steps, *shape), init=0)


@implements(proc=Votes, protocol=LoihiProtocol)
@requires(CPU)
class PyVotes(PyLoihiProcessModel):
    """Runs under either tag: what comes is exact in double precision."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    kept: Any = LavaPyType(np.ndarray, float)

    def run_spk(self) -> None:
        """One Lava step."""
        self.kept[self.time_step - 1] = self.a_in.recv()


def make_graph() -> nir.NIRGraph:
    """Two layers of whole-number weights: what it gives is exact in both precisions."""
    rng = np.random.default_rng(5)
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([SIZE])),
        "fc1": nir.Affine(rng.integers(-4, 6, (HIDDEN, SIZE)), rng.integers(0, 2, HIDDEN)),
        "hidden": MultiLevelLIF.one_hot((HIDDEN,), 3, 4.0, 0.75),
        "fc2": nir.Linear(rng.integers(-4, 6, (CLASSES, HIDDEN))),
        "class": MultiLevelLIF.one_hot((CLASSES,), 1, 6.0, 0.5),
        "output": nir.Output(None),
    }
    return build_graph(nodes, list(pairwise(nodes)))


@click.command()
@click.option("--fixed", is_flag=True, help='Precision "fixed", under the tag "fixed_pt".')
def main(fixed: bool) -> None:
    """Runs the program and compares."""
    rng = np.random.default_rng(1)
    spikes, order = rng.integers(0, 2, (STEPS, SIZE)), rng.permutation(SIZE)
    precision = "fixed" if fixed else "float"
    graph = make_graph()

    # Lava's Dense before it is one step late, so the first frame comes at Lava's step 2.
    network = nirbridge_lava.network(graph, precision=precision, first_step=2)
    late = network.first_step - 1 + network.latency["output"]
    padded = np.concatenate([spikes, np.zeros((late, SIZE), int)]).T
    source = RingBuffer(data=padded.astype(np.int32 if fixed else float))
    shuffle = Dense(weights=np.eye(SIZE, dtype=int)[order] * (2 if fixed else 1), weight_exp=-1 if fixed else 0)
    votes, monitor = Votes(network.out.shape, STEPS + late), Monitor()
    source.s_out.connect(shuffle.s_in)
    shuffle.a_out.connect(network.inp)
    network.out.connect(votes.a_in)
    monitor.probe(network.layers["hidden"].v, STEPS + late)
    # Lava looks for a model by running every file beside that of the Process, so a script had better name its own.
    config = Loihi2SimCfg(select_tag=network.tag, exception_proc_model_map={votes: PyVotes})
    votes.run(RunSteps(STEPS + late), config)
    counted, membrane = votes.kept.get()[late:], monitor.get_data()["hidden"]["v"]
    votes.stop()

    with nirbridge.compile(graph, "reference", precision=precision) as program:
        expected = program.run(spikes[:, None, order], ["hidden:v"])
    begin = network.first_step - 1 + network.latency["hidden"]
    wrong = int((counted != expected.output[:, 0]).sum())
    wrong_v = int((membrane[begin : begin + STEPS] != expected.records["hidden:v"][:, 0]).sum())
    click.echo(f"latency {network.latency}")
    click.echo(f"votes {counted.sum(axis=0).astype(int).tolist()}, {wrong} values and {wrong_v} membranes differ")
    sys.exit(1 if wrong or wrong_v else 0)


if __name__ == "__main__":
    main()
