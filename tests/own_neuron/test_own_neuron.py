"""A neuron from outside, installed as its users would: files, commands, runtimes, export, training."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tokenize
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance import judge
from nirbridge.conformance.cases import case_of, line
from nirbridge.errors import GraphError, GraphWarning
from nirbridge.ir import flatten, registry
from nirbridge.primitives import BUILT_IN, where

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "own_neuron"
RUNTIMES = (("reference",), ("norse",), ("lava", "--mapping", "processes"), ("lava", "--mapping", "fused"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example installed by pip into a folder of its own, from a copy, without a network."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def own(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module, found by its entry point in this process; nothing of it stays but its machine code, beside it."""
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("XDG_CACHE_HOME", str(site.parent / "cache"))
    monkeypatch.setattr(registry, "_specs", dict(registry._specs))
    monkeypatch.setattr(registry, "_plugins_loaded", False)
    import adaptive_lif

    yield adaptive_lif
    del sys.modules["adaptive_lif"]


def command(site: Path, *arguments: str, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = [sys.executable, "-c", "from nirbridge.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    environment["XDG_CACHE_HOME"] = str(cache or site.parent / "cache")
    environment.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run(code, capture_output=True, text=True, check=False, timeout=240, env=environment)


def a_graph(own: ModuleType) -> nir.NIRGraph:
    node = own.AdaptiveLIF((5,), 0.9, np.linspace(0.3, 1.1, 5), 0.25, np.full(5, 0.75))
    return line(nir.Linear(np.random.default_rng(1).uniform(-0.5, 1, (5, 4))), node, shape=(4,))


def data(steps: int = 20) -> np.ndarray:
    return np.random.default_rng(2).uniform(-0.5, 2, (steps, 3, 4))


def dyadic(steps: int) -> np.ndarray:
    return np.random.default_rng(3).integers(-2, 5, (steps, 2, 5)) / 4


@pytest.fixture
def files(own: ModuleType, tmp_path: Path) -> tuple[Path, Path]:
    nirbridge.write(tmp_path / "own.nir", a_graph(own))
    np.save(tmp_path / "x.npy", data())
    return tmp_path / "own.nir", tmp_path / "x.npy"


def by_hand(x: np.ndarray, node: Any) -> tuple[np.ndarray, np.ndarray]:
    """The equations of the page, one neuron and one step at a time."""
    y, membranes = np.zeros_like(x), np.zeros_like(x)
    fields = [np.broadcast_to(value, x.shape[2:]) for value in (node.decay, node.v_threshold, node.beta, node.rho)]
    for place in np.ndindex(x.shape[1:]):
        decay, theta, beta, rho = (float(field[place[1:]]) for field in fields)
        v = a = 0.0
        for t in range(len(x)):
            v = decay * v + x[(t, *place)]
            limit = theta + beta * a
            s = 1.0 if v > limit else 0.0
            v, a = v - limit * s, rho * a + s
            y[(t, *place)], membranes[(t, *place)] = s, v
    return y, membranes


def test_the_page_shows_the_file_and_it_is_short() -> None:
    source = (EXAMPLE / "adaptive_lif.py").read_text()
    page = (ROOT / "docs" / "own_neuron.md").read_text()
    assert source in page
    assert (EXAMPLE / "pyproject.toml").read_text() in page
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = {t.start[0] for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type not in skipped}
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, documented) and ast.get_docstring(node):
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    assert len(lines) < 40


def test_the_code_of_the_page_runs(own: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    _, *blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_neuron.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert len(blocks) == 2
    assert nirbridge.read("own.nir").nodes["act"].beta == 0.25


def test_files_hold_it_and_nobody_else_reads_it_wrongly(own: ModuleType, files: tuple[Path, Path]) -> None:
    graph = a_graph(own)
    assert nirbridge.ir.graphs_equal(nirbridge.read(files[0]), graph)
    assert nirbridge.check(graph) == []
    with pytest.raises(Exception):  # noqa: B017, PT011  NIR's own reader fails, it does not run another neuron
        nir.read(files[0])


def test_without_its_package_a_file_is_refused_by_name(files: tuple[Path, Path], tmp_path: Path) -> None:
    done = command(tmp_path / "nothing", "check", str(files[0]))
    assert done.returncode == 2
    assert "unknown primitive 'AdaptiveLIF'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("runtime", RUNTIMES, ids=" ".join)
def test_every_runtime_computes_the_equations(own: ModuleType, runtime: tuple[str, ...]) -> None:
    if runtime[0] == "lava":
        pytest.importorskip("lava")
    graph, x = a_graph(own), data()
    options = {"mapping": runtime[2]} if len(runtime) > 1 else {}
    with nirbridge.compile(graph, runtime[0], **options) as program:
        found = program.run(x, record=["n0", "n1:v"])
        first = program.step(x[0])
        program.reset()
        again = program.step(x[0])
    entering = found.records["n0"].astype(np.float64)
    y, membranes = by_hand(entering, graph.nodes["n1"])
    assert 0.05 < y.mean() < 0.95
    np.testing.assert_array_equal(found.output, y)
    np.testing.assert_array_equal(found.records["n1:v"], membranes)
    assert first.shape == again.shape == y.shape[1:]
    np.testing.assert_array_equal(again, y[0])


@pytest.mark.parametrize("runtime", ["reference", "norse", "lava"])
def test_its_examples_are_exact_on_every_runtime(own: ModuleType, runtime: str) -> None:
    pytest.importorskip(runtime if runtime == "lava" else "numpy")
    verdicts = [judge(case_of(example), runtime) for example in own.SPEC.examples()]
    assert {verdict.state for verdict in verdicts} == {"exact"}, verdicts
    assert len(verdicts) == 5


def test_the_compiled_pass_gives_the_bits_of_the_step(own: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    from nirbridge_norse.fused.elsewhere import foreign_pass
    from nirbridge_norse.neurons import fused_snn

    graph, x = a_graph(own), data(50)
    assert foreign_pass(own.step, ("v", "a")) is not None
    for dtype in ("float32", "float64"):
        with nirbridge.compile(graph, "norse", dtype=dtype) as program:
            compiled = program.run(x).output
        with monkeypatch.context() as patch:
            patch.setattr(fused_snn, "numba_is_there", lambda: False)
            with nirbridge.compile(graph, "norse", dtype=dtype) as program:
                np.testing.assert_array_equal(program.run(x).output, compiled)


def test_a_later_process_finds_the_machine_code_of_an_earlier_one(
    files: tuple[Path, Path], site: Path, tmp_path: Path
) -> None:
    graph, x = map(str, files)
    found = []
    for name in ("first.npz", "second.npz"):
        run = ("run", graph, "-i", x, "-o", str(tmp_path / name), "--runtime", "norse")
        done = command(site, *run, cache=tmp_path / "cache")
        assert done.returncode == 0, done.stderr
        found.append(np.load(tmp_path / name)["output"])
    assert list(tmp_path.glob("cache/nirbridge/passes/**/*.nbc"))
    np.testing.assert_array_equal(*found)
    assert 0 < found[0].mean() < 1


def test_commands(files: tuple[Path, Path], site: Path, tmp_path: Path) -> None:
    graph, x = map(str, files)
    run = lambda *arguments: command(site, *arguments)  # noqa: E731
    assert run("check", graph).returncode == 0
    shown = run("show", graph)
    assert "AdaptiveLIF  5" in shown.stdout
    assert "decay 0.9, v_threshold 0.3,0.5,0.7,0.9,1.1, beta 0.25, rho 0.75" in shown.stdout
    compared = run("compare", graph, "-i", x, "--json")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    rows = [row for row in json.loads(compared.stdout)["nodes"] if row["type"] == "AdaptiveLIF"]
    assert rows
    assert all(row["spiking"] and row["mismatches"] == 0 and row["spikes"] > 0 for row in rows)
    spent = json.loads(run("energy", graph, "-i", x, "--model", "memory", "--json").stdout)
    assert spent["layers"][0]["neurons"] == ["n1"]
    assert spent["layers"][0]["counts"]["potentials writes"] >= 20 * 5 * 2  # steps, neurons, states
    done = run("run", graph, "-i", x, "-o", str(tmp_path / "out.npz"), "--record", "n1:v")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out.npz")["n1:v"].shape == (20, 3, 5)


@pytest.mark.parametrize(
    "arguments",
    [
        ("quantize", "own.nir", "-o", "q.nir"),
        ("check", "own.nir", "--runtime", "lava", "--chip", "loihi2"),
        ("run", "own.nir", "-i", "x.npy", "-o", "o.npz", "--precision", "fixed"),
        ("expand", "own.nir", "-o", "core.nir"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_an_integer_form_it_is_refused_by_name(
    arguments: tuple[str, ...], files: tuple[Path, Path], site: Path, tmp_path: Path
) -> None:
    given = [str(tmp_path / name) if "." in name else name for name in arguments]
    done = command(site, *given)
    assert done.returncode in (1, 2)
    assert "node 'n1' (AdaptiveLIF)" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "q.nir").exists()


def test_conformance_judges_it_with_the_rest(site: Path) -> None:
    done = command(site, "conformance", "--runtime", "reference", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    own = [case for case in json.loads(done.stdout)["cases"] if "AdaptiveLIF" in case["kinds"]]
    assert {(case["precision"], case["state"]) for case in own} == {("float", "exact"), ("fixed", "refused")}
    assert all(case["detail"] for case in own if case["state"] == "refused")


def test_random_graphs_hold_it(own: ModuleType) -> None:
    from nirbridge.conformance.random_graphs import random_graph

    found = sum(
        type(node) is own.AdaptiveLIF for seed in range(60) for node in flatten(random_graph(seed)).nodes.values()
    )
    assert found > 5


def a_module(own: ModuleType, **more: Any) -> Any:
    torch = pytest.importorskip("torch")
    from nirbridge.neurons import PrimitiveNeuron

    torch.manual_seed(0)
    values = {"decay": 0.9, "v_threshold": torch.linspace(0.3, 1.1, 6), "beta": 0.25, "rho": 0.75}
    return torch.nn.Sequential(torch.nn.Linear(4, 6), PrimitiveNeuron(own.SPEC, **values, **more))


def test_export_gives_what_the_module_computes(own: ModuleType, tmp_path: Path) -> None:
    network = a_module(own)
    torch = sys.modules["torch"]
    x = torch.rand(30, 3, 4) * 2
    graph = nirbridge.export(network, input_shape=(4,))
    assert type(graph.nodes["1"]) is own.AdaptiveLIF
    with torch.no_grad(), nirbridge.compile(graph, "norse", dtype="float32") as program:
        np.testing.assert_array_equal(program.run(x.numpy()).output, network(x).numpy())


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_it_trains(own: ModuleType, device: str) -> None:
    network = a_module(own, learn=("decay", "v_threshold"))
    torch = sys.modules["torch"]
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here")
    network, x = network.to(device), torch.rand(12, 16, 4, device=device) * 2
    wanted = torch.linspace(0.05, 0.6, 6, device=device)
    optimiser, losses = torch.optim.Adam(network.parameters(), 0.02), []
    for _ in range(60):
        loss = ((network(x).mean((0, 1)) - wanted) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(bool(p.grad.abs().sum() > 0) for p in network.parameters())
    assert losses[-1] < 0.1 * losses[0]


def test_gradients_are_the_surrogates(own: ModuleType) -> None:
    """One step: y = [v > θ], v = x, so dy/dx = h(x - θ)."""
    torch = pytest.importorskip("torch")
    from nirbridge.neurons import PrimitiveNeuron, Triangle

    neuron = PrimitiveNeuron(own.SPEC, Triangle(0.5), decay=0.5, v_threshold=1.0, beta=0.5, rho=0.5)
    x = torch.tensor([[[0.25, 0.75, 1.5, 2.5]]], requires_grad=True)
    y = neuron(x)
    y.sum().backward()
    assert y.tolist() == [[[0.0, 0.0, 1.0, 1.0]]]
    assert x.grad.tolist() == [[[0.125, 0.375, 0.25, 0.0]]]


def test_a_wrong_value_is_one_clear_line(own: ModuleType) -> None:
    pytest.importorskip("torch")
    from nirbridge.errors import InputError
    from nirbridge.neurons import PrimitiveNeuron

    values = {"decay": 0.5, "v_threshold": 1.0, "beta": 0.5, "rho": 0.5}
    with pytest.raises(InputError, match="AdaptiveLIF: rho is missing"):
        PrimitiveNeuron(own.SPEC, **{k: v for k, v in values.items() if k != "rho"})
    with pytest.raises(InputError, match="AdaptiveLIF: tau is unknown"):
        PrimitiveNeuron(own.SPEC, **values, tau=1.0)
    with pytest.raises(InputError, match="learn|gamma is unknown"):
        PrimitiveNeuron(own.SPEC, learn=("gamma",), **values)


def test_a_neuron_without_values_trains() -> None:
    torch = pytest.importorskip("torch")
    from nirbridge.neurons import PrimitiveNeuron
    from nirbridge.primitives import BINARY, Fires, Neuron, neuron_spec

    def step(x: Any, v: Any) -> Any:
        return v + x > 1.0, v + x

    node = dataclass(eq=False)(type("Plain", (Neuron,), {}))
    rest = Fires(thresholds=lambda node: [np.ones(1)])
    spec = neuron_spec(node, step, ("v",), BINARY, 0, None, lambda dice, shape: node(shape), rest)
    assert PrimitiveNeuron(spec)(torch.full((3, 1, 2), 0.75)).tolist() == [[[0.0, 0.0]], [[1.0, 1.0]], [[1.0, 1.0]]]


def _without(name: str) -> Callable[[ModuleType], object]:
    def make(own: ModuleType) -> object:
        from nirbridge.primitives import Spec

        fields = {key: getattr(own.SPEC, key) for key in own.SPEC.__dataclass_fields__ if key != name}
        return Spec(**fields)

    return make


@pytest.mark.parametrize("name", ["sends", "fires", "dynamics", "cost", "integers", "draws", "examples"])
def test_a_field_that_is_missing_fails_with_its_name(own: ModuleType, name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}'"):
        _without(name)(own)


def test_a_step_that_takes_what_the_node_has_not_fails_at_import(own: ModuleType) -> None:
    from nirbridge.primitives import BINARY, neuron_spec

    def step(x: Any, v: Any, gain: Any) -> Any:
        return x > v, gain * v

    with pytest.raises(TypeError, match="step takes \\['gain'\\]"):
        neuron_spec(own.AdaptiveLIF, step, ("v",), BINARY, 1, None, own.draw, own.REST)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.float16, bool])
def test_parameters_of_any_dtype_are_numbers(own: ModuleType, kind: Any) -> None:
    """Integers of few bits would wrap around in what the step makes of two of them."""
    from nirbridge.primitives import BINARY, neuron_spec

    def step(x: Any, v: Any, decay: Any, v_threshold: Any, beta: Any, rho: Any) -> Any:
        v = v + decay * v_threshold * x
        s = v > decay * v_threshold - beta - rho
        return s, v - decay * v_threshold * s

    registry.register(neuron_spec(own.AdaptiveLIF, step, ("v",), BINARY, 1, None, own.draw, own.REST))
    numbers = [np.array([1, 100, 16, 127, 2]).astype(kind), *(np.array(n).astype(kind) for n in (20, 3, 100))]
    whole, wide = own.AdaptiveLIF((5,), *numbers), own.AdaptiveLIF((5,), *(n.astype(float) for n in numbers))
    for runtime in ("reference", "norse"):
        found, expected = (
            nirbridge.compile(line(node, shape=(5,)), runtime).run(dyadic(30), ["n0:v"]) for node in (whole, wide)
        )
        np.testing.assert_array_equal(found.records["n0:v"], expected.records["n0:v"])


def _remembers_its_spike(x: Any, v: Any, a: Any, v_threshold: Any) -> Any:
    v = (1.1 - a) * v + x
    s = v > v_threshold
    return s, v * (1.1 - s) - 0.1 * s + where(s, 0.3, 0.1), s


def _is_written_for_no_loop(x: Any, v: Any, a: Any, v_threshold: Any) -> Any:
    return _remembers_its_spike(abs(x), v, a, v_threshold)


@pytest.mark.parametrize("step", [_remembers_its_spike, _is_written_for_no_loop])
@pytest.mark.parametrize("runtime", ["reference", "norse", "lava"])
def test_a_comparison_counts_as_one(own: ModuleType, step: Any, runtime: str) -> None:
    """Also as a state, and beside plain numbers, for which torch has dtypes of its own."""
    from nirbridge.primitives import BINARY, neuron_spec

    pytest.importorskip(runtime if runtime == "lava" else "numpy")
    registry.register(neuron_spec(own.AdaptiveLIF, step, ("v", "a"), BINARY, 1, None, own.draw, own.REST))
    theta, x = np.array([0.3, 0.7, 1.1, 1.3, 1.9]), dyadic(30)
    data = abs(x) if step is _is_written_for_no_loop else x
    v = a = np.zeros(x.shape[1:])
    membranes = []
    for frame in data:
        v = (1.1 - a) * v + frame
        a = np.where(v > theta, 1.0, 0.0)
        v = v * (1.1 - a) - 0.1 * a + np.where(v > theta, 0.3, 0.1)
        membranes.append(v)
    options = {"mapping": "fused"} if runtime == "lava" else {}
    with nirbridge.compile(line(own.AdaptiveLIF((5,), 0, theta, 0, 0), shape=(5,)), runtime, **options) as program:
        program.run(x[:7])
        state = program.state()
        whole = program.run(x, ["n0:v"])
        program.restore(state)
        rest = program.advance(x[7:], ["n0:v"])
    np.testing.assert_array_equal(whole.records["n0:v"], membranes)
    np.testing.assert_array_equal(rest.records["n0:v"], membranes[7:])
    assert state["n0:a"].dtype.kind == "f"


def _divides(x: Any, v: Any, a: Any, v_threshold: Any) -> Any:
    v = v + where(x > 0, 1 / x, 0.0)
    return v > v_threshold, v, a


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_dividing_by_zero_is_no_error_where_nothing_reads_it(own: ModuleType, runtime: str) -> None:
    from nirbridge.primitives import BINARY, neuron_spec

    registry.register(neuron_spec(own.AdaptiveLIF, _divides, ("v", "a"), BINARY, 1, None, own.draw, own.REST))
    x = dyadic(30)
    with nirbridge.compile(line(own.AdaptiveLIF((5,), 0, 3.0, 0, 0), shape=(5,)), runtime) as program:
        found = program.run(x).output
    membranes = np.cumsum(np.divide(1, x, where=x > 0, out=np.zeros_like(x)), axis=0)
    assert (x == 0).any()
    np.testing.assert_array_equal(found, membranes > 3.0)


def test_a_state_cannot_have_the_name_of_what_a_delay_holds(own: ModuleType) -> None:
    from nirbridge.primitives import BINARY, neuron_spec

    def step(x: Any, v: Any, line: Any, decay: Any) -> Any:
        return x > v, decay * v, line + x

    with pytest.raises(TypeError, match="state 'line' has the name of what a Delay holds"):
        neuron_spec(own.AdaptiveLIF, step, ("v", "line"), BINARY, 1, None, own.draw, own.REST)


def _two_levels(x: Any, v: Any, decay: Any, v_threshold: Any) -> Any:
    v = decay * v + x
    y = (v > v_threshold) + (v > 2 * v_threshold)
    return y, v - v_threshold * y


def _ternary(x: Any, v: Any, decay: Any, v_threshold: Any) -> Any:
    v = decay * v + x
    return (v > v_threshold) - (v < -v_threshold), v


def _negated(x: Any, v: Any, decay: Any, v_threshold: Any) -> Any:
    fires = v > v_threshold
    return fires, decay * v + x + v_threshold * -fires


def _scales_its_input(x: Any, v: Any, decay: Any, v_threshold: Any) -> Any:
    x *= decay
    return x > v_threshold, v + x


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (_two_levels, "takes add of comparisons alone"),
        (_ternary, "takes subtract of comparisons alone"),
        (_negated, "takes negative of comparisons alone"),
        (_scales_its_input, "changes what it is given"),
    ],
)
def test_a_step_that_numpy_and_numba_read_differently_is_refused(own: ModuleType, step: Any, message: str) -> None:
    from nirbridge.primitives import BINARY, neuron_spec

    with pytest.raises(TypeError, match=f"AdaptiveLIF: step {message}"):
        neuron_spec(own.AdaptiveLIF, step, ("v",), BINARY, 1, None, own.draw, own.REST)


def test_two_primitives_of_one_name_are_refused(own: ModuleType) -> None:
    registry.register(own.SPEC)
    other = type("LIF", (own.AdaptiveLIF,), {})
    with pytest.raises(GraphError, match="another primitive has this name"):
        registry.register(replace(own.SPEC, node=other))
    with pytest.raises(GraphError, match="is no nirbridge.primitives.Spec"):
        registry.register(own.AdaptiveLIF)


def test_what_a_process_registers_stays_though_a_package_has_the_type(own: ModuleType) -> None:
    mine = registry.register(replace(own.SPEC, integers=None))
    assert mine in registry.all_specs()
    assert registry.find_spec(own.AdaptiveLIF) is mine


def test_a_thread_that_asks_while_another_loads_packages_waits(
    own: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found no such type, since packages counted as loaded from the beginning of that on."""
    loading, entry = threading.Event(), SimpleNamespace(name="own", value="own:SPEC")

    def load() -> Any:
        loading.set()
        time.sleep(0.05)
        return own.SPEC

    entry.load = load
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(registry.all_specs)
        assert loading.wait(10)
        assert registry.type_named("AdaptiveLIF") is own.AdaptiveLIF
        assert own.SPEC in other.result()


def test_a_broken_package_is_named_and_harms_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[nirbridge.primitives]\nbroken = broken_neuron:SPEC\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (tmp_path / "broken_neuron.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_plugins_loaded", False)
    with pytest.warns(GraphWarning, match="primitive 'broken': broken_neuron:SPEC cannot be loaded .*ZeroDivision"):
        found = registry.all_specs()
    assert found == registry.all_specs() == BUILT_IN
