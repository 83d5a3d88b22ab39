"""NIR's data format, there and back, and what nir itself reads from our files."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError, InputError
from nirbridge.ir import MultiLevelLIF, PhaseEncode
from nirbridge.nir_data import read_all_nir_data, read_nir_data, write_nir_data
from nirbridge.runtime import make_plan
from tests.cli.conftest import small_graph
from tests.conformance.cases import dyadic, line, weights


def _plan(dt: float = 1e-3):  # type: ignore[no-untyped-def]
    nodes = [
        nir.Linear(weights(6, 4)),
        nir.LIF(*(np.full(6, v) for v in (0.002, 1.0, 0.0, 0.5))),
        MultiLevelLIF.one_hot((6,), 3),
    ]
    return make_plan(line(*nodes, shape=(4,)), dt)


def _recording(dt: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "n0": rng.normal(size=(50, 3, 6)),
        "n1": (rng.random((50, 3, 6)) < 0.3).astype(float),
        "n2": rng.choice([0.0, 1, 2, 4], (50, 3, 6)),
        "output": rng.choice([0.0, 4], (50, 3, 6)),
    }


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 3e-4, 2.0**-10])
def test_round_trip(tmp_path: Path, dt: float) -> None:
    """0.003/0.001 is 2.9999..: no event may slip into the step before."""
    arrays = _recording(dt)
    write_nir_data(tmp_path / "r.nird", arrays, _plan(dt))
    back = read_all_nir_data(tmp_path / "r.nird", _plan(dt))
    assert back.keys() == arrays.keys()
    for name, values in arrays.items():
        assert np.array_equal(back[name], values), name


def test_each_kind_of_node_has_its_kind_of_data(tmp_path: Path) -> None:
    write_nir_data(tmp_path / "r.nird", _recording(1e-3), _plan())
    nodes = nir.read_data(tmp_path / "r.nird").nodes
    kinds = {name: type(next(iter(node.observables.values()))) for name, node in nodes.items()}
    assert kinds == {
        "n0": nir.TimeGriddedData,
        "n1": nir.EventData,
        "n2": nir.ValuedEventData,
        "output": nir.ValuedEventData,
    }
    events = nodes["n2"].observables["spikes"]
    assert set(np.unique(events.value[events.idx >= 0])) == {1.0, 2.0, 4.0}
    assert (events.n_neurons, events.t_max) == (6, pytest.approx(0.05))


def test_shapes_rates_and_silence(tmp_path: Path) -> None:
    plan = make_plan(line(PhaseEncode((2, 3), 4, 2.0, 4.0), shape=(2, 3)), 1e-3)
    arrays = {"input": dyadic((5, 2, 2, 3), 0, 9, 0.5, 1), "n0": np.zeros((20, 2, 2, 3))}
    write_nir_data(tmp_path / "r.nird", arrays, plan)
    back = read_all_nir_data(tmp_path / "r.nird", plan)
    assert np.array_equal(back["input"], arrays["input"])
    assert np.array_equal(back["n0"], arrays["n0"])
    assert nir.read_data(tmp_path / "r.nird").nodes["n0"].observables["spikes"].t_max == pytest.approx(5e-3)


def _write(path: Path, data: object, name: str = "input") -> Path:
    nir.write_data(path, nir.NIRGraphData({name: nir.NIRNodeData({"spikes": data})}))
    return path


def test_files_of_others_are_inputs(tmp_path: Path) -> None:
    grid = np.random.default_rng(0).random((2, 10, 4)) < 0.4
    own = nir.TimeGriddedData(grid, 1e-3)
    expected = grid.transpose(1, 0, 2).astype(float)
    for kind in (own, own.to_event(40), own.to_event(40, 5e-4)):
        for name in ("input", "what its author called it"):
            found = read_nir_data(_write(tmp_path / "x.nird", kind, name), _plan())
            assert np.array_equal(found["input"], expected)


def test_events_in_one_step_add_up(tmp_path: Path) -> None:
    events = nir.ValuedEventData(
        idx=np.array([[1, 1, -1]]), time=np.array([[0.0, 4e-4, np.inf]]), value=np.array([[2.0, 4, 9]]), n_neurons=4,
        t_max=2e-3,
    )  # fmt: skip
    found = read_nir_data(_write(tmp_path / "x.nird", events), _plan())["input"]
    assert found[:, 0].tolist() == [[0, 6, 0, 0], [0, 0, 0, 0]]


def test_times_of_single_precision_stay_in_their_steps(tmp_path: Path) -> None:
    """0.7 is 0.69999999 in single precision, and must not slip into the step before."""
    time = (np.arange(1000) * 1e-3).astype(np.float32)[None]
    events = nir.EventData(np.zeros((1, 1000), dtype=np.int64), time, 4, 1.0)
    assert (read_nir_data(_write(tmp_path / "x.nird", events), _plan())["input"][:, 0, 0] == 1).all()


def test_short_steps_are_told_apart(tmp_path: Path) -> None:
    grid = nir.TimeGriddedData(np.zeros((1, 2, 4)), 5e-9)
    with pytest.raises(InputError, match="has steps of 5e-09 s, the graph runs in steps of 1e-09 s"):
        read_nir_data(_write(tmp_path / "x.nird", grid), _plan(1e-9))


BAD = {
    "neurons": (nir.TimeGriddedData(np.zeros((1, 2, 5)), 1e-3), "has 5 neurons, the node has 4"),
    "steps": (nir.TimeGriddedData(np.zeros((1, 2, 4)), 1e-2), "has steps of 0.01 s, the graph runs in steps of 0.001"),
    "half a neuron": (nir.EventData(np.array([[1.5]]), np.array([[0.0]]), 4, 1e-3), "its idx is float64 (1, 1)"),
    "times of text": (nir.EventData(np.array([[1]]), np.array([[b"a"]]), 4, 1e-3), "its time is |S1 (1, 1)"),
    "one axis": (nir.EventData(np.array([1]), np.array([0.0]), 4, 1e-3), "its idx is int64 (1,)"),
    "complex": (
        nir.ValuedEventData(
            idx=np.array([[1]]), time=np.array([[0.0]]), value=np.array([[1j]]), n_neurons=4, t_max=1e-3
        ),
        "its value is complex128",
    ),
    "index": (nir.EventData(np.array([[4]]), np.array([[0.0]]), 4, 1e-3), "an event is of neuron 4"),
    "late": (nir.EventData(np.array([[3]]), np.array([[2e-3]]), 4, 1e-3), "outside of 0..0.001 s"),
    "early": (nir.EventData(np.array([[3]]), np.array([[-1.0]]), 4, 1e-3), "outside of 0..0.001 s"),
    "nan": (nir.EventData(np.array([[3]]), np.array([[np.nan]]), 4, 1e-3), "outside of 0..0.001 s"),
    "endless": (nir.EventData(np.array([[3]]), np.array([[0.0]]), 4, 1e12), "gives 1000000000000000 steps"),
    "infinite": (nir.EventData(np.array([[3]]), np.array([[0.0]]), 4, np.inf), "t_max inf s"),
}


@pytest.mark.parametrize("kind", BAD)
def test_data_that_do_not_fit_are_refused(tmp_path: Path, kind: str) -> None:
    stored, text = BAD[kind]
    with pytest.raises(InputError) as error:
        read_nir_data(_write(tmp_path / "x.nird", stored), _plan())
    assert text in str(error.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.nird").write_text("no HDF5")
    nirbridge.write(tmp_path / "graph.nird", small_graph())
    for name in ("text", "graph", "missing"):
        with pytest.raises(FileError, match=f"{name}.nird"):
            read_nir_data(tmp_path / f"{name}.nird", _plan())
