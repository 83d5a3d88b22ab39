"""The NIR paper's N-MNIST network, against the importers of other simulators."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable

import nir
import numpy as np
import torch

import nirbridge

from .data import GRAPH, RECORDING
from .measuring import OURS, Row, Section, in_turns, only, over, profiled

NAME, TITLE = "cnn", "The NIR paper's network against other simulators"
ABOUT = """`cnn_sinabs.nir`, 300 frames of 1 ms, batch 1, CPU time of one thread. nirbridge runs them in one call
("offline"), in blocks of 10 by `advance`, and by `step`; Norse, snnTorch and sinabs run what they import from the same
file, sinabs all frames at once and the others step by step. Norse's import gives the reference's spikes as it is.
sinabs and snnTorch read IF otherwise (several spikes a step and a floor; a leak of 0.9 and reset by subtraction) and
are set to the file's meaning, so that all outputs are equal; what of it cannot be had is left out and said."""
STEPS, SIZE, BLOCK = 300, 34, 10
NORSE = "norse.torch.from_nir"
TARGETS = {"offline": 25.0, f"blocks of {BLOCK}": 15.0, "step by step": 8.0}
WHY = {
    "step by step": "At one frame a call the work of the layers is small; Python around the kernels is the rest.",
    f"blocks of {BLOCK}": "A block of 10 frames shares the calls, but is too short to hide them.",
    "offline": "Convolutions and neuron passes are the larger part.",
}
Run = Callable[[], np.ndarray]


def frames() -> tuple[np.ndarray, str]:
    """[300, 1, 2, 34, 34] frames that count the events of each millisecond, and where they come from."""
    if not RECORDING.is_file():
        random = np.random.default_rng(0).random((STEPS, 1, 2, SIZE, SIZE)) < 0.006
        return random.astype(np.float32), "random frames"
    raw = np.frombuffer(RECORDING.read_bytes(), dtype=np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    step = (((raw[:, 2] & 0x7F) << 16) + (raw[:, 3] << 8) + raw[:, 4]) // 1000
    counts = np.zeros((STEPS, 1, 2, SIZE, SIZE), dtype=np.float32)
    inside = step < STEPS
    np.add.at(counts, (step[inside], 0, polarity[inside], y[inside], x[inside]), 1)
    return counts, f"N-MNIST {RECORDING.name}, {int(inside.sum()):,} events"


def stepped(network: Callable[..., tuple[torch.Tensor, object]], x: np.ndarray) -> np.ndarray:
    """A module that takes a frame and its state, over all frames."""
    state, outputs = None, []
    with torch.inference_mode():
        for frame in torch.from_numpy(x):
            y, state = network(frame, state)
            outputs.append(y)
    return torch.stack(outputs).numpy()


def with_norse(x: np.ndarray) -> Run:
    """Norse's own import."""
    import norse.torch

    network = norse.torch.from_nir(nir.read(GRAPH), ignore_warnings=True)
    return lambda: stepped(network, x)


def with_snntorch(x: np.ndarray) -> Run:
    """snnTorch's own import, its neurons set to the file's IF."""
    import snntorch
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(None):
        network = import_from_nir(nir.read(GRAPH))
    neurons = [module for module in network.modules() if isinstance(module, snntorch.SpikingNeuron)]
    for neuron in neurons:
        neuron.init_hidden, neuron.reset_delay, neuron.reset_mechanism = True, False, "zero"
        neuron.beta = torch.tensor(1.0)

    def run() -> np.ndarray:
        for neuron in neurons:
            neuron.reset_mem()
        return stepped(network, x)

    return run


def with_sinabs(x: np.ndarray) -> Run:
    """sinabs' own import, its neurons set to the file's IF."""
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.layers import IAFSqueeze
    from sinabs.nir import from_nir

    network = from_nir(nir.read(GRAPH), batch_size=1)
    neurons = [module for module in network.modules() if isinstance(module, IAFSqueeze)]
    for neuron in neurons:
        neuron.spike_fn, neuron.reset_fn, neuron.min_v_mem = SingleSpike, MembraneReset(), None

    def run() -> np.ndarray:
        with torch.inference_mode():
            for neuron in neurons:
                neuron.reset_states()
            return network(torch.from_numpy(x).flatten(0, 1))[0].numpy()

    return run


PEERS = {NORSE: with_norse, "snnTorch": with_snntorch, "sinabs": with_sinabs}


def ours(program: nirbridge.runtime.Program, x: np.ndarray) -> dict[str, Run]:
    """The three ways to run the program."""

    def blocks() -> np.ndarray:
        program.reset()
        return np.concatenate([program.advance(x[t : t + BLOCK]).output for t in range(0, len(x), BLOCK)])

    def steps() -> np.ndarray:
        program.reset()
        return np.stack([program.step(frame) for frame in x])

    return dict(zip(TARGETS, (lambda: program.run(x).output, blocks, steps), strict=True))


def measure(quick: bool = False) -> Section:
    """All rows."""
    warnings.simplefilter("ignore")
    section = Section()
    if not GRAPH.is_file():
        section.notes.append(f"Not measured: there is no `{GRAPH.name}` in `../shared/data/nir-paper/02_cnn`.")
        return section
    x, origin = frames()
    x = x[: BLOCK if quick else None]
    graph = nirbridge.read(GRAPH)
    expected = nirbridge.compile(graph, "reference").run(x).output
    program = nirbridge.compile(graph, "norse")
    runs = {f"{OURS}, {name}": run for name, run in ours(program, x).items()}
    for name, make in PEERS.items():
        try:
            runs[name] = make(x)
        except ImportError as error:
            section.notes.append(f"{name} is left out: {error}.")
    for name in list(runs):
        differing = int((runs[name]().reshape(expected.shape) != expected).sum())
        if differing and name not in PEERS:
            raise AssertionError(f"{name}: {differing} outputs differ from the reference's")
        if differing:
            section.notes.append(f"{name} is left out: {differing} of {expected.size:,} outputs differ.")
            del runs[name]
    section.notes.append(f"{origin}. All {expected.size:,} outputs of {', '.join(runs)} equal the reference's.")
    seconds = in_turns(runs, 1 if quick else 5)
    for name, target in TARGETS.items():
        mine = f"{OURS}, {name}"
        if NORSE in runs:
            section.rows.append(
                Row(
                    f"{GRAPH.name}, {name}, faster than {NORSE}", over(seconds, NORSE, mine), target, "at least",
                    seconds=only(seconds, mine, NORSE), profile=profiled(runs[mine], 2),
                )
            )  # fmt: skip
        for peer in ("snnTorch", "sinabs"):
            if peer in runs:
                section.rows.append(
                    Row(f"{GRAPH.name}, {name}, faster than {peer}", over(seconds, peer, mine), None, "at least")
                )
    section.rows += [
        Row(f"{peer}, a step", [1e6 * value / len(x) for value in seconds[peer]], unit="µs") for peer in seconds
    ]
    return section
