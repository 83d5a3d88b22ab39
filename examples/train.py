"""Train one of the papers' networks, export it, and show that the runtimes agree with it.

    python examples/train.py --config examples/configs/digits_mlif.json --out out
    python examples/train.py --config examples/configs/cifar10_vgg16_mlif.json --set data.folder=/data --out out
    torchrun --nproc-per-node 4 examples/train.py --config ... --out out
    python examples/train.py --config ... --set data.validation=160 --out out

The last holds back 160 training samples and tells their accuracy beside the test's: choose by it, not by the test.

After every epoch ``OUT/checkpoint.pt`` holds all that ``--resume`` needs to go on exactly; at the end ``OUT/model.nir``
holds the graph, ``OUT/history.json`` the numbers of every epoch. Exit code 1: a runtime disagrees; 2: bad input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

import nirbridge
from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge.files import write_whole
from nirbridge.reports import printable
from nirbridge.runtime import usable_runtime
from train_data import load
from training import (
    CHECKPOINT,
    Configuration,
    Data,
    Processes,
    Run,
    load_checkpoint,
    processes,
    read_configuration,
)

SHARES = ("train", "validation", "test")
"""What an epoch tells of rightly decided samples; of validation, where ``data.validation`` holds some back."""
REFERENCE = "reference"
EQUAL_COUNT = (
    "note: frames of equal event count have no windows of time, so the graph begins with a plain Input. Measure with "
    "'nirbridge energy --input-kind events'; 'encode' and 'stream' need --window and --coding, and their frames are of "
    "equal time, unlike those of training"
)


@dataclass(frozen=True)
class Options:
    """What the command line says besides the configuration."""

    out: Path
    resume: bool
    overwrite: bool
    device: str
    board: Path | None
    stop_after: int | None
    runtimes: tuple[str, ...]


def progress(batches: Iterable[Any], label: str) -> Iterable[Any]:
    """The batches, with a bar on stderr."""
    with click.progressbar(batches, label=label, file=sys.stderr) as bar:
        yield from bar


@contextmanager
def _writing(where: str) -> Iterator[None]:
    """Turns what the system says against a folder into one line."""
    try:
        yield
    except OSError as error:
        raise FileError(where, f"cannot be written ({error.strerror or error})", "Choose another place") from error


def tensorboard(folder: Path | None) -> Callable[[dict[str, Any]], None]:
    """Writes an epoch's numbers for TensorBoard; without a folder nothing.

    Raises:
        InputError: TensorBoard is not installed.
        FileError: the folder cannot be written.
    """
    if folder is None:
        return lambda entry: None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise InputError("option --tensorboard", "tensorboard is not installed", "pip install tensorboard") from error
    with _writing(f"folder '{folder}'"):
        writer = SummaryWriter(str(folder))

    def write(entry: dict[str, Any]) -> None:
        for name in ("loss", *SHARES):
            if name in entry:
                writer.add_scalar(f"{entry['stage']}/{name}", entry[name], entry["epoch"])
        writer.flush()

    return write


def export(
    network: torch.nn.Module, configuration: Configuration, data: Data, folder: Path, runtimes: tuple[str, ...] | None
) -> bool:
    """Writes the graph and compares it with torch and on the runtimes (all, if None); whether they agree."""
    path = folder / "model.nir"
    network = network.cpu().eval()
    graph = nirbridge.export(network, data.input_shape, input_node=data.events)
    nirbridge.write(path, graph)
    print(f"wrote {path}: {len(graph.nodes)} nodes")
    if data.has_time and data.events is None:
        print(EQUAL_COUNT)
    count = min(configuration.check_samples, len(data.test))
    if count == 0:
        return True
    samples = torch.stack([torch.as_tensor(data.test[index][0]) for index in range(count)]).float()
    frames = samples.transpose(0, 1) if data.has_time else samples.expand(configuration.steps, *samples.shape)
    frames = frames.contiguous()
    with torch.inference_mode():
        own = network(frames).mean(0).argmax(1).numpy()
    with nirbridge.compile(graph) as program:
        found = program.run(frames.numpy()).output.mean(0).argmax(1)
    print(f"decisions of torch and the graph on the reference: {int((own == found).sum())} of {own.size} alike")
    alike = bool((own == found).all())
    if runtimes == ():
        return alike
    comparison = nirbridge.compare(nirbridge.read(path), frames.numpy(), runtimes)
    for line in comparison.verdicts():
        print(line)
    return comparison.agrees and alike


def compared_runtimes(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """What the exported graph is compared on besides the reference; None is all that run it.

    Raises:
        RuntimeUnavailableError: one of them is unknown or cannot be used here.
    """
    for name in names:
        usable_runtime(name)
    if names:
        return tuple(name for name in names if name != REFERENCE)
    found = nirbridge.runtimes()
    return None if any(state.usable for name, state in found.items() if name != REFERENCE) else ()


def train(configuration: Configuration, place: Processes, options: Options) -> bool:
    """The whole run; whether the runtimes agree with the exported graph."""
    runtimes = compared_runtimes(options.runtimes)
    data = load(configuration.data, configuration.steps)
    write = tensorboard(options.board) if place.is_first else tensorboard(None)

    def report(entry: dict[str, Any]) -> None:
        shares = ", ".join(f"{name} {entry[name]:6.1%}" for name in SHARES if name in entry)
        print(f"{entry['stage']} epoch {entry['epoch']}: loss {entry['loss']:.4f}, {shares}", flush=True)
        write(entry)

    shown = progress if place.is_first else (lambda batches, label: batches)
    run = Run(configuration, data, place, options.out, shown, report)
    network = run.train(options.resume, options.stop_after)
    told = configuration.to_dict()
    history = load_checkpoint(options.out / CHECKPOINT, told).history if place.is_first else []
    if len(history) < configuration.all_epochs:
        return True
    write_whole(options.out / "history.json", json.dumps({"configuration": told, "epochs": history}, indent=1))
    return export(network, configuration, data, options.out, runtimes)


def prepare(options: Options) -> None:
    """The folder for the results, in which no other run's checkpoint is lost.

    Raises:
        InputError: it holds a checkpoint, and nothing says what becomes of it, or two options contradict each other.
        FileError: it cannot be made.
    """
    if options.resume and options.overwrite:
        raise InputError("option --overwrite", "contradicts --resume, which goes on from the checkpoint", "Use one")
    with _writing(f"folder '{options.out}'"):
        options.out.mkdir(parents=True, exist_ok=True)
        found = (options.out / CHECKPOINT).exists()
    if found and not (options.resume or options.overwrite):
        raise InputError(
            f"folder '{options.out}'", f"holds a {CHECKPOINT}", "Use --resume, --overwrite or another --out"
        )


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="A .json or .toml file.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value, as data.folder=/data.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), show_default=True)
@click.option("--resume", is_flag=True, help="Go on from OUT/checkpoint.pt.")
@click.option("--overwrite", is_flag=True, help="Begin anew where OUT holds a checkpoint.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
@click.option(
    "--tensorboard", "board", type=click.Path(file_okay=False, path_type=Path), help="Folder for TensorBoard."
)
@click.option("--stop-after", type=click.IntRange(1), help="End after so many epochs; --resume goes on.")
@click.option(
    "--runtime",
    "runtimes",
    multiple=True,
    help="Compare on this runtime; by default on all; reference compares with torch alone.",
)
def main(config: Path, changes: tuple[str, ...], **options: Any) -> None:
    """Train as a configuration says, export and compare."""
    told = Options(**options)
    try:
        with ExitStack() as stack:
            configuration = read_configuration(config, changes)
            place = stack.enter_context(processes(told.device))
            prepare(told)
            agrees = train(configuration, place, told)
    except NirbridgeError as error:
        print(*(f"Error: {printable(str(problem))}" for problem in error.problems), sep="\n", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
