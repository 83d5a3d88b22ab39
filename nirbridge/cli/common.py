"""What several commands share: arguments, and errors that name the file they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nirbridge.cli.inputs import Inputs
from nirbridge.cli.output import echo, take_stdout
from nirbridge.errors import InputError, NirbridgeError, placing

if TYPE_CHECKING:
    import nir

    from nirbridge.ir import FlatGraph, Graph
    from nirbridge.runtime import Array

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


def together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator; ``--help`` lists them in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


graph_argument: Callable[[F], F] = click.argument("graph", type=PATH, metavar="F.nir")
json_option: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
dt_option: Callable[[F], F] = click.option(
    "--dt", type=float, help="Seconds per step of neurons with time constants; else the EventInput's window, else 1e-3."
)
precision_option: Callable[[F], F] = click.option(
    "--precision",
    type=click.Choice(["float", "fixed"]),
    help="'fixed' calculates in the integers of a chip; the default for what 'nirbridge quantize' made, else 'float'.",
)
meaning_options = together(
    click.option(
        "--integrator",
        type=click.Choice(["euler", "exact", "hold"]),
        default="euler",
        show_default=True,
        help="How neurons of core NIR leak: by Euler steps, or by exp(-dt/tau) with the input at once (exact) or held "
        "over the step (hold). Files do not say.",
    ),
    click.option(
        "--reset",
        type=click.Choice(["value", "subtract"]),
        default="value",
        show_default=True,
        help="What a spike of a core NIR neuron does: v = v_reset, or v -= v_threshold - v_reset. Files do not say.",
    ),
)
"""What files leave open about core NIR neurons."""
energy_options = together(
    click.option(
        "--model",
        type=click.Choice(["m-lif", "one-spike", "memory"]),
        default="m-lif",
        show_default=True,
        help="Synaptic operations as Abillama et al. 2025 (m-lif) or Hwang and Kung 2024 (one-spike) count them, or "
        "memory accesses too, as Lemaire et al. 2022 (memory).",
    ),
    click.option(
        "--bits",
        type=click.Choice([32, 8]),
        help="Width of the numbers; by default 8 where weights are 8-bit integers, as 'nirbridge quantize' makes them, "
        "else 32.",
    ),
    click.option(
        "--input-kind",
        type=click.Choice(["analog", "events"]),
        help="What inputs bring; by default an EventInput events and an Input analog values. Encoded frames are "
        "events.",
    ),
)
"""How energy is estimated."""

_IN_A_GRAPH = ("node ", "graph", "edge ")
_IN_DATA = ("input",)


def naming(graph: Path, data: Path | Inputs | None = None) -> AbstractContextManager[None]:
    """Adds the file to errors raised in the block that name only a node, or only an input."""
    return placing(lambda where: _placed(where, graph, data))


def _placed(where: str, graph: Path, data: Path | Inputs | None) -> str:
    if where.startswith(_IN_A_GRAPH):
        return f"file '{graph}', {where}"
    file = data.file_of(where) if isinstance(data, Inputs) else data
    if file is not None and where.startswith(_IN_DATA):
        return f"file '{file}', {where}"
    return where


def read_graph(path: Path) -> nir.NIRGraph:
    """The graph in a file; an error in one of its nodes names the file too."""
    from nirbridge.ir import read

    with naming(path):
        return read(path)


def read_flat_graph(path: Path) -> FlatGraph:
    """As :func:`read_graph`, analysed once for all that a command does with it."""
    from nirbridge.ir import read_flat

    with naming(path):
        return read_flat(path)


def read_network(path: Path, precision: str | None, dt: float | None) -> FlatGraph:
    """As :func:`read_flat_graph`; :func:`note_precision` says which precision was taken."""
    network = read_flat_graph(path)
    note_precision(path, network, precision, dt)
    return network


def read_data(path: Path, graph: Graph, dt: float | None, samples: int | None = None) -> Any:
    """The data for a graph: NIR's own format by the suffix .nird, else .npy or .npz.

    Arrays [T, *shape], as ``nirbridge encode`` writes them, get a batch axis, which is said.

    Args:
        path: the file.
        graph: the graph; its inputs say their shape.
        dt: seconds per step.
        samples: how many there must be, where arrays [samples, *shape] are still images; None where there are none.
    """
    from nirbridge.arrays import read_arrays
    from nirbridge.nir_data import SUFFIX, read_nir_data
    from nirbridge.runtime import make_plan

    if path.suffix.lower() == SUFFIX:
        return read_nir_data(path, make_plan(graph, dt))
    found = read_arrays(path)
    if samples not in (None, 1):
        return found
    shapes, images = input_shapes(graph), samples is not None
    if isinstance(found, dict):
        return {
            name: _batched(f"file '{path}', array '{name}'", array, shapes.get(name), images)
            for name, array in found.items()
        }
    return _batched(f"file '{path}'", found, next(iter(shapes.values())) if len(shapes) == 1 else None, images)


def read_inputs(inputs: Inputs, graph: Graph, dt: float | None) -> Any:
    """The data for a graph as :func:`read_data` reads them, from one file or from one for each input.

    Raises:
        InputError: a file for one input holds several arrays, or is of NIR's format, which has names of its own.
    """
    from nirbridge.arrays import read_arrays
    from nirbridge.nir_data import SUFFIX

    if "" in inputs.files:
        return read_data(inputs.files[""], graph, dt)
    shapes, found = input_shapes(graph), {}
    for name, path in inputs.files.items():
        array = None if path.suffix.lower() == SUFFIX else read_arrays(path)
        if array is None or isinstance(array, dict):
            raise InputError(f"file '{path}'", "names its arrays itself", f"Give it alone, as -i {path}")
        found[name] = _batched(f"file '{path}'", array, shapes.get(name), images=False)
    return found


def input_shapes(graph: Graph) -> dict[str, tuple[int, ...] | None]:
    """The shapes that the inputs of a graph state."""
    from nirbridge.ir import is_input
    from nirbridge.ir.stated_shapes import declared_shape

    return {name: declared_shape(node) for name, node in graph.nodes.items() if is_input(node)}


def _batched(where: str, array: Array, shape: tuple[int, ...] | None, images: bool) -> Array:
    """``array`` with a batch axis where all that its shape can mean is [T, *shape]."""
    if shape is None or array.ndim == 0 or array.shape[1:] != shape or (images and len(array) == 1):
        return array
    steps = len(array)
    other = "" if images else f" For {steps} samples of one step, save x[None]."
    echo(f"{where}: {array.shape} has no batch axis, so it counts as {steps} steps of one sample.{other}", err=True)
    return array[:, None]


def note_precision(path: Path, graph: Graph, precision: str | None, dt: float | None) -> None:
    """Says on stderr which precision was taken, where neither the call nor the file does and both could be meant."""
    from nirbridge.runtime import make_plan
    from nirbridge.runtime.precision import may_mean_integers

    if precision is not None:
        return
    try:
        open_question = may_mean_integers(make_plan(graph, dt))
    except NirbridgeError:
        return  # whatever is wrong with the graph, the command itself says it
    if open_question:
        found = "all its numbers are integers, and no Quantize node says that they are those of a chip"
        text = f"file '{path}': {found}: taken in precision 'float'. Give --precision fixed for 24-bit states."
        echo(f"Note: {text}", err=True)


def require_output(path: Path | None, suffix: str | tuple[str, ...], *inputs: Path | None) -> None:
    """Refuses an output file of the wrong kind, in no folder, or that is one of the inputs, before work is done.

    None stands for one that was not given.

    Raises:
        InputError: the name does not end with ``suffix`` or one of them and is none of a pipe or device, it is an
            input, or what draws it is not installed.
        FileError: it cannot be written there.
    """
    from nirbridge.files import is_stdout, require_suffix, require_target
    from nirbridge.pictures import require_libraries

    if path is None:
        return
    if is_stdout(path):
        take_stdout()
    require_suffix(path, *((suffix,) if isinstance(suffix, str) else suffix))
    if path.suffix.lower() == ".png":
        require_libraries("a .png picture", "matplotlib")
    require_target(path)
    require_apart([path], inputs)


def require_apart(outputs: Sequence[Path | None], inputs: Iterable[str | Path | None]) -> None:
    """Refuses an output that is one of the inputs, or another output; what is no file is apart, and so is None.

    Raises:
        InputError: it is so.
    """
    from nirbridge.files import is_stream

    taken: set[Path] = set()
    read = [Path(one) for one in inputs if one is not None]
    for path in outputs:
        if path is None or is_stream(path):
            continue
        if any(_is_same(path, one) for one in read):
            raise InputError(f"file '{path}'", "is an input and would be overwritten", "Choose another output")
        if path.resolve() in taken:
            raise InputError(f"file '{path}'", "is given for two outputs", "Give each a name of its own")
        taken.add(path.resolve())


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them does not exist, or is no path at all
        return False
