"""``examples/train.py``: what it trains, exports and refuses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main as cli
from nirbridge.ir import EventInput, graphs_equal
from nirbridge_events import FrameEncoder, open_recording
from tests.training.programs import EXAMPLES, digits_config, nmnist_folder, run
from training import load_checkpoint, read_configuration


def test_event_networks_say_how_events_become_their_frames(load, tmp_path):
    """The graph's input encodes a recording as training did; energy and the command line know it for events."""
    folder = nmnist_folder(tmp_path / "data", 4)
    data = {"name": "nmnist", "folder": str(folder), "window": 50_000, "size": 17, "lanes": 2, "subframes": 2}
    config = str(digits_config(tmp_path, data=data, steps=3, epochs=1))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--runtime", "reference")
    assert done.exit_code == 0, done.stdout + done.stderr
    graph = nirbridge.read(tmp_path / "out" / "model.nir")
    (node,) = (node for node in graph.nodes.values() if type(node) is EventInput)
    path = folder / "Test" / "3" / "0.bin"
    frames = [part.frame for part in FrameEncoder.from_node(node).encode(open_recording(path, sensor_size=(34, 34)))]
    expected = load(data, 3).test[3][0].numpy()
    assert np.count_nonzero(expected) > 50
    np.testing.assert_array_equal(np.stack(frames[:3]), expected)
    assert nirbridge.energy(graph, expected[:, None]).layers[0].input == "events"
    encoded = tmp_path / "frames.npy"
    told = CliRunner().invoke(
        cli, ["encode", str(path), "--model", str(tmp_path / "out/model.nir"), "-o", str(encoded)]
    )
    assert told.exit_code == 0, told.output
    np.testing.assert_array_equal(np.load(encoded).reshape(-1, 2, 17, 17)[:3], expected)


def test_equal_count_frames_export_with_a_note(tmp_path):
    data = {"name": "nmnist", "folder": str(nmnist_folder(tmp_path / "data", 3)), "equal_count": True, "lanes": 2}
    config = str(digits_config(tmp_path, data=data, steps=3, epochs=1))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--runtime", "reference")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "'nirbridge energy --input-kind events'" in done.stdout
    graph = nirbridge.read(tmp_path / "out" / "model.nir")
    assert all(type(node) is not EventInput for node in graph.nodes.values())


ANALOG = {"analog_epochs": 60, "analog_learning_rate": 0.02}


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "direct", "neuron": {"name": "m-lif", "lanes": 3}},
        {"recipe": "hybrid", "factor": 0.6} | ANALOG,
        {"recipe": "qcfs-lm-ht"} | ANALOG,
    ],
    ids=lambda changes: changes["recipe"],
)
def test_text_gcn_learns_a_graph_and_agrees_on_the_runtimes(tmp_path, changes):
    pytest.importorskip("sklearn")
    values = {
        "data": {"name": "digit-graph", "nodes": 150},
        "network": {"name": "text-gcn", "width": 32},
        "steps": 2,
        "epochs": 60,
        "learning_rate": 0.01,
    }
    values |= changes
    path = tmp_path / "run.json"
    path.write_text(json.dumps(values))
    done = run("--config", str(path), "--out", str(tmp_path / "out"), "--runtime", "norse")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "150 of 150 alike" in done.stdout
    assert "norse: agrees with the reference" in done.stdout
    assert json.loads((tmp_path / "out" / "history.json").read_text())["epochs"][-1]["test"] > 0.6


def test_validation_is_told_beside_the_test(tmp_path):
    """And kept in the history, and refused where a run with another part held back is to go on."""
    pytest.importorskip("sklearn")
    config, out = str(digits_config(tmp_path, check_samples=0)), str(tmp_path / "out")
    done = run("--config", config, "--set", "data.validation=20", "--out", out)
    assert done.exit_code == 0
    assert re.search(r"spiking epoch 2: loss \S+, train +\S+%, validation +\S+%, test +\S+%", done.stdout)
    epochs = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    assert all(0 <= entry["validation"] <= 1 for entry in epochs)
    done = run("--config", config, "--out", out, "--resume")
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "Resume with the same configuration" in done.stderr


def test_folders_that_cannot_be_made_are_one_line(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    below, config = str(tmp_path / "file" / "below"), str(digits_config(tmp_path))
    for arguments in (("--out", below), ("--out", str(tmp_path / "out"), "--tensorboard", below)):
        done = run("--config", config, *arguments)
        assert done.exit_code == 2
        assert f"folder '{below}': cannot be written" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_checkpoint_is_lost_only_where_that_is_said(tmp_path):
    pytest.importorskip("sklearn")
    options = ("--config", str(digits_config(tmp_path, check_samples=0)), "--out", str(tmp_path / "out"))
    assert run(*options, "--stop-after", "1").exit_code == 0
    before = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    done = run(*options)
    assert done.exit_code == 2
    assert "holds a checkpoint.pt. Use --resume, --overwrite or another --out" in done.stderr
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == before
    done = run(*options, "--overwrite")
    assert done.exit_code == 0
    assert "spiking epoch 1: loss" in done.stdout


@pytest.mark.parametrize(("recipe", "stop"), [("direct", 50), ("hybrid", 4)])
def test_a_run_that_ends_before_it_is_to_stop_is_finished(tmp_path, recipe, stop):
    pytest.importorskip("sklearn")
    more = {"analog_epochs": 2} if recipe == "hybrid" else {}
    config = str(digits_config(tmp_path, check_samples=0, recipe=recipe, **more))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--stop-after", str(stop))
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out" / "model.nir").exists()
    assert (tmp_path / "out" / "history.json").exists()


def test_training_resumes_and_exports(tmp_path):
    pytest.importorskip("sklearn")
    config = str(digits_config(tmp_path, check_samples=0))
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    done = run("--config", config, "--out", str(broken), "--stop-after", "1")
    assert done.exit_code == 0
    assert not (broken / "model.nir").exists()
    for folder, more in ((broken, ("--resume",)), (straight, ())):
        done = run("--config", config, "--out", str(folder), *more)
        assert done.exit_code == 0
        assert "spiking epoch 2: loss" in done.stdout
        assert "spiking 2/2" in done.stderr
        assert [entry["epoch"] for entry in json.loads((folder / "history.json").read_text())["epochs"]] == [1, 2]
    told = read_configuration(config).to_dict()
    a, b = (load_checkpoint(folder / "checkpoint.pt", told) for folder in (broken, straight))
    assert a.history == b.history
    assert all(torch.equal(a.network[name], b.network[name]) for name in a.network)
    first, second = (nirbridge.read(folder / "model.nir") for folder in (broken, straight))
    assert graphs_equal(first, second)
    assert len(first.nodes) == 8


def torchrun(*arguments: str, program: Path = EXAMPLES / "train.py") -> subprocess.CompletedProcess[str]:
    """A program in two processes on the CPU."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, str(program), *arguments, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


IN_TWO = """
import json, os, socket, sys
sys.path.append(sys.argv[1])
import numba, sklearn.datasets, torch._dynamo, torch.distributed.nn
import train

for arguments in json.loads(sys.argv[2]):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = []
    for rank in "01":
        both.append(os.fork())
        if both[-1] == 0:
            os.environ |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank,
                           "LOCAL_RANK": rank}
            train.main([*arguments, "--device", "cpu"])
    if any(os.waitpid(process, 0)[1] for process in both):
        sys.exit("a process failed")
"""


def in_two(*calls: list[str]) -> None:
    """Calls of the training program one after the other, each in two processes that know of each other as by torchrun.

    They are forks of one that has imported what they need, which takes most of their time, and has done nothing else.
    """
    command = [sys.executable, "-c", IN_TWO, str(EXAMPLES), json.dumps(calls)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def trained_by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder and what was printed: torchrun with gloo trains on 60 samples in batches of 25, 25 and 10.

    Without batch normalisation, whose statistics each process takes of its own share. At the end each process leaves
    the names of its threads.
    """
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("two")
    config = digits_config(
        folder, network={"name": "small-dense", "width": 16}, learning_rate=1e-2, optimizer="sgd", batch=25
    )
    program = folder / "program.py"
    program.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        f"sys.path.append({str(EXAMPLES)!r})\n"
        "import train\n"
        "try:\n"
        "    train.main()\n"
        "finally:\n"
        "    names = [(task / 'comm').read_text() for task in Path('/proc/self/task').glob('*')]\n"
        "    Path(__file__).with_name('threads' + os.environ['RANK']).write_text(''.join(names))\n"
    )
    options = ("--config", str(config), "--runtime", "norse", "--out", str(folder / "two"))
    return folder, torchrun(*options, program=program).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads threads from /proc")
def test_two_processes_train_and_leave_no_thread(trained_by_two):
    """One that freed a tensor while Python exits would abort the process."""
    folder, _ = trained_by_two
    names = [(folder / f"threads{rank}").read_text() for rank in (0, 1)]
    assert all(names)
    assert not any("gloo" in each for each in names), names


def test_two_processes_train_the_network_that_one_trains(trained_by_two):
    """One process writes and compares."""
    folder, printed = trained_by_two
    config = folder / "run.json"
    assert printed.count("spiking epoch 1:") == 1
    assert printed.count("decisions of torch and the graph on the reference: 3 of 3 alike") == 1
    assert printed.count("norse: agrees with the reference") == 1
    alone = run("--config", str(config), "--runtime", "norse", "--out", str(folder / "one"))
    assert alone.exit_code == 0
    told = read_configuration(config).to_dict()
    two, one = (load_checkpoint(folder / name / "checkpoint.pt", told) for name in ("two", "one"))
    for name, tensor in one.network.items():
        torch.testing.assert_close(two.network[name], tensor, rtol=2e-3, atol=2e-4)
    for a, b in zip(two.history, one.history, strict=True):
        assert (a["train"], a["test"]) == (b["train"], b["test"])
        assert a["loss"] == pytest.approx(b["loss"], rel=2e-3)


def test_two_processes_resume_in_the_same_bits(tmp_path):
    """With batch normalisation and dropout, whose random numbers differ from process to process."""
    pytest.importorskip("sklearn")
    config = str(digits_config(tmp_path, network={"name": "small-conv", "width": 4, "dropout": 0.2}, check_samples=0))
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    in_two(
        ["--config", config, "--out", str(broken), "--stop-after", "1"],
        ["--config", config, "--out", str(broken), "--resume"],
        ["--config", config, "--out", str(straight)],
    )
    told = read_configuration(config).to_dict()
    a, b = (load_checkpoint(folder / "checkpoint.pt", told) for folder in (broken, straight))
    assert a.history == b.history
    assert all(torch.equal(a.network[name], b.network[name]) for name in b.network)


def test_tensorboard_holds_the_numbers_of_every_epoch(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, board = str(digits_config(tmp_path, check_samples=0)), tmp_path / "board"
    options = ("--config", config, "--out", str(tmp_path / "out"), "--tensorboard", str(board))
    assert run(*options, "--stop-after", "1").exit_code == 0
    assert run(*options, "--resume").exit_code == 0
    history = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    events = EventAccumulator(str(board))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["spiking/loss", "spiking/test", "spiking/train"]
    for name in ("loss", "train", "test"):
        found = events.Scalars(f"spiking/{name}")
        assert [event.step for event in found] == [1, 2]
        assert [event.value for event in found] == pytest.approx([entry[name] for entry in history], rel=1e-6)


def test_runtimes_are_resolved_before_training(tmp_path):
    pytest.importorskip("sklearn")
    options = ("--config", str(digits_config(tmp_path, epochs=1)))
    done = run(*options, "--out", str(tmp_path / "a"), "--runtime", "reference", "--runtime", "nope")
    assert done.exit_code == 2
    assert "runtime 'nope': is not installed" in done.stderr
    assert "spiking" not in done.stdout + done.stderr
    done = run(*options, "--out", str(tmp_path / "b"), "--runtime", "reference")
    assert done.exit_code == 0, done.stderr
    assert "decisions of torch and the graph on the reference: 3 of 3 alike" in done.stdout
    assert "agrees with the reference" not in done.stdout


def test_bad_calls_end_with_one_line(tmp_path, monkeypatch):
    config = str(digits_config(tmp_path))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for arguments, message in (
        (("--config", str(tmp_path / "none.json")), "cannot be read"),
        (("--config", config, "--set", "recipe=magic"), "recipe is 'magic'"),
        (("--config", config, "--set", "data.name=cifar"), "unknown data set 'cifar'"),
        (("--config", config, "--set", "data.validation=60"), "validation=60 is no whole number from 0 to 59"),
        (("--config", config, "--resume"), "checkpoint.pt': does not exist"),
        (("--config", config, "--resume", "--overwrite"), "--overwrite: contradicts --resume"),
        (("--config", config, "--tensorboard", str(tmp_path)), "pip install tensorboard"),
        (("--config", config, "--set", "data.count=0"), "count=0 is not a whole number from 1"),
        (("--config", config, "--set", "data.count=1"), "count=1 leaves nothing to test"),
        (("--config", config, "--set", "data.count=abc"), "count='abc' is not a whole number from 1"),
        (("--config", config, "--set", "data.shift=-1"), "shift=-1 is not a whole number from 0"),
    ):
        done = run(*arguments, "--out", str(tmp_path / "out"))
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
