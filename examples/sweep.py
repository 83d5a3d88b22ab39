"""Train one configuration over a grid of values and draw what accuracy costs in energy and latency.

    python examples/sweep.py --config examples/configs/digits_mlif.json \\
        --sweep steps=1,2,3 --sweep neuron.lanes=1,2,3,4 --out sweep
    python examples/sweep.py ... --set epochs=2 --set analog_epochs=3 --samples 100     # a quick look

Each cell has a folder below OUT with what ``train.py`` leaves there.  A cell that is finished is not trained again, one
that was interrupted goes on from its checkpoint.  At the end OUT holds ``networks.csv``, ``labels.npy`` and the data,
from which ``nirbridge frontier`` draws other frontiers, and ``frontier.png`` and ``frontier.json``.  Exit code 2: bad
input.
"""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

import nirbridge
from nirbridge.errors import InputError, NirbridgeError
from nirbridge.evaluating import NetworkFile, Sweep, candidate, read_network_list, sweep, write_network_list
from nirbridge.files import whole_file, write_whole
from train import progress
from train_data import load
from training import CHECKPOINT, Configuration, Data, Processes, Run, processes, read_configuration

MODEL, DONE, NETWORKS, LABELS = "model.nir", "configuration.json", "networks.csv", "labels.npy"


@dataclass(frozen=True)
class Cell:
    """One combination of values.

    Attributes:
        name: ``steps=1,neuron.lanes=2``, also of its folder.
        configuration: what is trained.
    """

    name: str
    configuration: Configuration


def cells(config: Path, changes: tuple[str, ...], axes: tuple[str, ...]) -> list[Cell]:
    """Every combination of the values of ``axes``, each "key=v1,v2"; all are checked before any is trained.

    Raises:
        InputError: an axis is no list of values, or a value does not fit.
        FileError: the configuration cannot be read.
    """
    told = [_axis(axis) for axis in axes]
    if len({key for key, _ in told}) < len(told):
        raise InputError("option '--sweep'", "names a key twice", "Give all of its values at once, as steps=1,2,3")
    combinations = itertools.product(*([f"{key}={value}" for value in values] for key, values in told))
    return [Cell(",".join(one), read_configuration(config, (*changes, *one))) for one in combinations]


def _axis(text: str) -> tuple[str, list[str]]:
    key, _, values = text.partition("=")
    listed = [value.strip() for value in values.split(",")]
    if not key or not all(listed) or "/" in text:
        raise InputError(f"option '--sweep {text}'", "is no key with values", "Write it as steps=1,2,3")
    return key, list(dict.fromkeys(listed))


def train(cell: Cell, data: Data, place: Processes, folder: Path) -> None:
    """Trains and exports one cell, from its checkpoint where there is one; nothing if it is finished."""
    told = cell.configuration.to_dict()
    if (folder / MODEL).exists() and (folder / DONE).exists() and _read(folder / DONE) == told:
        print(f"{cell.name}: finished before")
        return
    folder.mkdir(parents=True, exist_ok=True)
    same = (folder / DONE).exists() and _read(folder / DONE) == told
    (folder / MODEL).unlink(missing_ok=True)
    _write(folder / DONE, told)
    history: list[dict[str, Any]] = []
    shown = progress if sys.stderr.isatty() else (lambda batches, label: batches)
    run = Run(cell.configuration, data, place, folder, shown, history.append)
    network = run.train(resume=same and (folder / CHECKPOINT).exists())
    nirbridge.write(folder / MODEL, nirbridge.export(network.cpu().eval(), data.input_shape))
    print(f"{cell.name}: trained" + (f", test {history[-1]['test']:.1%}" if history else ""), flush=True)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, values: Any) -> None:
    write_whole(path, json.dumps(values, indent=1) + "\n")


def save_data(data: Data, samples: int | None, folder: Path, name: str) -> tuple[Path, np.ndarray]:
    """Writes test samples, [B, *shape] or frames [T, B, *shape]; the file and the classes."""
    count = len(data.test) if samples is None else min(samples, len(data.test))
    pairs = [data.test[index] for index in range(count)]
    x = np.stack([np.asarray(frames, np.float32) for frames, _ in pairs])
    path = folder / f"{name}.npy"
    with whole_file(path) as file:
        np.save(file, x.swapaxes(0, 1) if data.has_time else x)
    return path, np.array([int(label) for _, label in pairs])


def run_all(found: list[Cell], place: Processes, out: Path, samples: int | None) -> tuple[Path, bool]:
    """Trains every cell and writes the list of networks; the list, and whether inputs are events."""
    files, known, labels = [], {}, np.empty(0, int)
    for number, cell in enumerate(found, 1):
        c = cell.configuration
        print(f"{cell.name} ({number} of {len(found)})", file=sys.stderr)
        data = load(c.data, c.steps)
        train(cell, data, place, out / cell.name)
        # Still images are the same at every T; frames depend on how many of them a recording is cut into.
        key = json.dumps([c.data, c.steps if data.has_time else None], sort_keys=True)
        if key not in known:
            known[key], labels = save_data(data, samples, out, f"data-{len(known)}")
        steps = None if data.has_time else c.steps
        files.append(NetworkFile(out / cell.name / MODEL, known[key], steps, label=f"T={c.steps}"))
    with whole_file(out / LABELS) as file:
        np.save(file, labels)
    write_network_list(out / NETWORKS, files)
    return out / NETWORKS, data.has_time


def judge(networks: Path, model: str, runtime: str, input_kind: str) -> Sweep:
    """What ``nirbridge frontier`` does with the list."""
    labels = np.load(networks.with_name(LABELS))
    entries = read_network_list(networks)
    found = [
        candidate(
            e.graph.parent.name, nirbridge.read(e.graph), np.load(str(e.input)), labels, steps=e.steps, label=e.label
        )
        for e in entries
    ]
    with click.progressbar(
        length=sum(one.samples for one in found), label="running", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        return sweep(found, model, runtime, input_kind=input_kind, progress=bar.update)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="A .json or .toml file, as of train.py.")
@click.option("--sweep", "axes", multiple=True, required=True, metavar="KEY=V1,V2", help="Values to combine.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a value for all, as epochs=2.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("sweep"), show_default=True)
@click.option("--samples", type=click.IntRange(1), help="Judge with so many test samples; by default with all.")
@click.option("--model", default="memory", show_default=True, help="Energy model: m-lif, one-spike or memory.")
@click.option("--runtime", default="norse", show_default=True, help="Records the activity.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def main(
    config: Path, axes: tuple[str, ...], changes: tuple[str, ...], out: Path, samples: int | None, **options: str
) -> None:
    """Train over a grid of values and draw the frontier of accuracy, energy and latency."""
    try:
        found = cells(config, changes, axes)
        with processes(options["device"]) as place:
            if place.count > 1:
                raise InputError("torchrun", "a sweep trains cell after cell in one process", "Start it with python")
            out.mkdir(parents=True, exist_ok=True)
            networks, events = run_all(found, place, out, samples)
        kind = "events" if events else "analog"
        judged = judge(networks, options["model"], options["runtime"], kind)
        judged.draw(out / "frontier.png")
        _write(out / "frontier.json", judged.to_dict())
    except NirbridgeError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    print(judged.table())
    print(
        f"wrote {out / 'frontier.png'}; again with: nirbridge frontier {networks} --labels {out / LABELS} "
        f"--input-kind {kind} --model {options['model']} -o frontier.png"
    )


if __name__ == "__main__":
    main()
