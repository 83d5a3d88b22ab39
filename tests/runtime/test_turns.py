"""A program takes one call at a time; copies run side by side; a fork runs its own or is told so."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import ModuleType
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import UnsupportedError
from nirbridge.primitives import where
from nirbridge.runtime import Availability, Plan, Program, make_plan, make_program
from nirbridge.runtime.turn import Turn
from tests.ir.graphs import chain

RUNTIMES: dict[str, tuple[str, dict[str, Any]]] = {
    "reference": ("reference", {}),
    "norse": ("norse", {}),
    "lava": ("lava", {"mapping": "processes"}),
    "lava, fused": ("lava", {"mapping": "fused"}),
}
SIZE = 3
WEIGHT = np.array([[1.0, -0.5, 0.25], [0.5, 1.0, 0.0], [-0.25, 0.5, 1.0]])
CALLS: dict[str, Callable[[Program], object]] = {
    "run": lambda program: program.run(_data(1)),
    "advance": lambda program: program.advance(_data(1)),
    "step": lambda program: program.step(_data(1)[0]),
    "reset": lambda program: program.reset(),
    "close": lambda program: program.close(),
}


def _graph() -> nir.NIRGraph:
    one = np.ones(SIZE)
    return chain(nir.Linear(WEIGHT), nir.IF(one, one * 2), shape=(SIZE,), out=(SIZE,))


def _data(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-2, 4, (12, 2, SIZE)).astype(np.float64)


def _expected(x: np.ndarray) -> np.ndarray:
    v, out = np.zeros(x.shape[1:]), []
    for frame in x:
        v = v + frame @ WEIGHT.T
        out.append((v > 2).astype(float))
        v = np.where(v > 2, 0.0, v)
    return np.stack(out)


@pytest.fixture(params=RUNTIMES)
def program(request: pytest.FixtureRequest) -> Iterator[Program]:
    runtime, options = RUNTIMES[request.param]
    if not nirbridge.runtimes()[runtime].usable:
        pytest.skip(f"{runtime} is not usable here")
    with nirbridge.compile(_graph(), runtime, **options) as made:
        yield made


class _Held:
    """A call of the program in a thread of its own, held in its middle until ``release``."""

    def __init__(self, program: Program, call: Callable[[], Any]) -> None:
        self.entered, self.free = threading.Event(), threading.Event()
        advance = program._advance

        def held(*arguments: Any) -> Any:
            self.entered.set()
            assert self.free.wait(60)
            return advance(*arguments)

        program._advance = held  # type: ignore[method-assign]
        self.pool = ThreadPoolExecutor(1)
        self.result = self.pool.submit(call)
        assert self.entered.wait(60)
        program._advance = advance  # type: ignore[method-assign]

    def release(self) -> Any:
        self.free.set()
        return self.result.result(60)


@pytest.mark.parametrize("first", ["run", "advance", "step"])
def test_a_second_call_is_refused_at_once(program: Program, first: str) -> None:
    """Whatever the two calls are; the first one's answer is right all the same."""
    x = _data(1)
    under_way = _Held(program, lambda: CALLS[first](program))
    for call in CALLS.values():
        with pytest.raises(UnsupportedError, match=r"^program: another call of it is under way.*program\.copy\(\)\.$"):
            call(program)
    found = under_way.release()
    np.testing.assert_array_equal(*((found, _expected(x)[0]) if first == "step" else (found.output, _expected(x))))
    np.testing.assert_array_equal(program.run(x).output, _expected(x))


def test_threads_may_take_turns(program: Program) -> None:
    batches = [_data(seed) for seed in range(6)]
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        found = [(one, other)[i % 2].submit(program.run, x).result().output for i, x in enumerate(batches)]
        halves = [pool.submit(program.advance, x) for pool, x in ((one, _data(7)[:5]),)]
        halves[0].result()
    for x, output in zip(batches, found, strict=True):
        np.testing.assert_array_equal(output, _expected(x))
    np.testing.assert_array_equal(program.run(_data(9)).output, _expected(_data(9)))


def test_copies_run_side_by_side(program: Program) -> None:
    """Each thread its own: every batch comes out right, of run, advance and step."""

    def work(mine: Program, seeds: range) -> list[bool]:
        right = []
        for seed in seeds:
            x = _data(seed)
            right.append(np.array_equal(mine.run(x).output, _expected(x)))
            mine.reset()
            parts = [mine.advance(x[:5]).output, *(mine.step(frame)[None] for frame in x[5:])]
            right.append(np.array_equal(np.concatenate(parts), _expected(x)))
        return right

    count = 4
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        copies = [stack.enter_context(program.copy()) for _ in range(count)]
        found = list(pool.map(work, copies, (range(10 * i, 10 * i + 5) for i in range(count))))
    assert found == [[True] * 10] * count


def test_a_copy_starts_fresh_and_shares_no_state(program: Program) -> None:
    x = _data(2)
    program.advance(x[:5])
    with program.copy() as other, pickle.loads(pickle.dumps(program)) as third:
        for made in (other, third):
            assert type(made) is type(program)
            assert made.plan.names == program.plan.names
            np.testing.assert_array_equal(made.advance(x).output, _expected(x))
    np.testing.assert_array_equal(program.advance(x[5:]).output, _expected(x)[5:])
    program.close()
    with program.copy() as again:
        np.testing.assert_array_equal(again.run(x).output, _expected(x))


def test_a_signal_handler_is_refused_too(program: Program) -> None:
    """It would mix its own data into the call that it interrupts."""
    advance, heard = program._advance, []

    def handler(number: int, frame: object) -> None:
        with pytest.raises(UnsupportedError, match=r"around this one.*program\.copy\(\)"):
            program.run(_data(3))
        heard.append(number)

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return advance(*arguments)

    before = signal.signal(signal.SIGUSR1, handler)
    program._advance = interrupted  # type: ignore[method-assign]
    try:
        np.testing.assert_array_equal(program.run(_data(4)).output, _expected(_data(4)))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert heard == [signal.SIGUSR1]


def test_an_error_lets_the_next_call_in(program: Program) -> None:
    for wrong in (np.zeros((2, 2)), np.full((1, 1, SIZE), np.nan), np.array("text")):
        with pytest.raises(nirbridge.errors.InputError):
            program.run(wrong)
        with pytest.raises(nirbridge.errors.InputError):
            program.step(wrong)
    np.testing.assert_array_equal(program.run(_data(1)).output, _expected(_data(1)))


class _Doubling(Program):
    """A plugin's program, which knows nothing of copies."""

    def __init__(self, plan: Plan, factor: float) -> None:
        super().__init__(plan)
        self.factor, self.steps = factor, 0

    def _advance(self, data: dict[str, Any], record: tuple[str, ...]) -> dict[str, Any]:
        self.steps += 1
        return dict.fromkeys((*self.plan.outputs, *record), self.factor * data["input"])

    def _reset(self) -> None:
        self.steps = 0


class _Plugin:
    name, summary, precisions, options = "plugin", "", ("float",), frozenset({"factor"})
    supported: frozenset[type[nir.NIRNode]] = frozenset({nir.Input, nir.Output})

    def availability(self) -> Availability:
        return Availability("1")

    def check(self, plan: Plan) -> tuple[()]:
        return ()

    def compile(self, plan: Plan, precision: str, options: Any) -> Program:
        return _Doubling(plan, **options)


def test_a_plugin_has_copies_for_free() -> None:
    nodes = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    plan = make_plan(nir.NIRGraph(nodes, [("input", "output")]))
    options = {"factor": 3.0}
    program = make_program(_Plugin(), plan, "float", options)
    options["factor"] = 4.0
    for other in (program.copy(), program.copy().copy(), copy.deepcopy(program)):
        assert other is not program
        assert other.run(np.ones((1, 1, 2))).output.tolist() == [[[3.0, 3.0]]]
    assert vars(program)["steps"] == 0
    with pytest.raises(UnsupportedError, match="nirbridge.compile did not make it"):
        _Doubling(plan, 1.0).copy()


def test_a_copy_keeps_precision_and_options() -> None:
    pytest.importorskip("norse")
    x = _data(1)
    with nirbridge.compile(_graph(), "norse", dtype="float64") as program, program.copy() as other:
        assert other.run(x).output.dtype == np.float64
    whole = chain(nir.Linear(np.eye(SIZE)), nir.IF(np.ones(SIZE), np.ones(SIZE)), shape=(SIZE,), out=(SIZE,))
    with nirbridge.compile(whole, "norse", precision="fixed") as program, program.copy() as other:
        assert type(other) is type(program)
        assert other.plan.input_limit == program.plan.input_limit


def test_switches_of_torch_outlast_another_thread() -> None:
    """They belong to the process: the first thread that is done may not give them back under another's hands."""
    torch = pytest.importorskip("torch")
    setting = pytest.importorskip("nirbridge_norse.setting")
    first, second, done = setting.exact_arithmetic(), threading.Event(), threading.Event()
    before = torch.get_float32_matmul_precision()

    def other() -> None:
        with setting.exact_arithmetic():
            second.set()
            assert done.wait(60)

    torch.set_float32_matmul_precision("medium")
    products = setting._precisions()[0]
    fast = products.fp32_precision
    assert fast not in ("ieee", "none")
    try:
        with ThreadPoolExecutor(1) as pool:
            with first:
                running = pool.submit(other)
                assert second.wait(60)
            assert products.fp32_precision in ("ieee", "none")
            done.set()
            running.result()
        assert products.fp32_precision == fast
    finally:
        torch.set_float32_matmul_precision(before)


_FORKS = """
import os, signal, sys
from contextlib import suppress
import nir, numpy as np, nirbridge
from nirbridge.errors import NirbridgeError

runtime, mapping = sys.argv[1:3]
if runtime == "norse":
    import torch
    torch.set_num_threads(4)
one = np.ones((8, 32, 32))
weight = np.random.default_rng(0).integers(-2, 3, (8, 3, 3, 3)).astype(float)
nodes = {"input": nir.Input(np.array([3, 32, 32])), "c": nir.Conv2d(None, weight, 1, 1, 1, 1, np.zeros(8)),
         "n": nir.IF(one, one), "output": nir.Output(np.array([8, 32, 32]))}
graph = nir.NIRGraph(nodes, [("input", "c"), ("c", "n"), ("n", "output")], type_check=False)
x = np.random.default_rng(1).integers(0, 2, (3, 2, 3, 32, 32)).astype(float)
program = nirbridge.compile(graph, runtime, **({"mapping": mapping} if mapping else {}))
expected = program.run(x).output

def use():
    try:
        return str(np.array_equal(program.run(x).output, expected))
    except NirbridgeError as error:
        return str(error)

def copied():
    with program.copy() as other:
        return str(np.array_equal(other.run(x).output, expected))

works = {"run": use, "close": lambda: str(program.close()), "copy": copied}
for leave, name in ((leave, name) for leave in (os._exit, sys.exit) for name in works):
    child = os.fork()
    if child == 0:
        signal.alarm(50)
        print(name, works[name](), flush=True)
        leave(0)
    assert os.waitpid(child, 0)[1] == 0, name
    print("parent", np.array_equal(program.run(x).output, expected), flush=True)
program.close()
"""


@pytest.mark.parametrize("name", RUNTIMES)
def test_forks(name: str) -> None:
    """What cannot live in a fork says so; the parent's program lives on, and the fork's end prints nothing.

    Forks end at once, and then as Python usually does.
    """
    runtime, options = RUNTIMES[name]
    if not nirbridge.runtimes()[runtime].usable or not hasattr(os, "fork"):
        pytest.skip(f"{runtime} or forks are not usable here")
    quiet = ["-W", "ignore:This process:DeprecationWarning"]  # later Pythons dislike forks beside threads
    command = [sys.executable, *quiet, "-c", _FORKS, runtime, options.get("mapping", "")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert lines[1::2] == ["parent True"] * 6
    for run, close, made in (lines[0:6:2], lines[6::2]):
        assert (close, made) == ("close None", "copy True")
        if runtime == "lava":
            assert "is its fork" in run
            assert run.endswith("Make one here: program.copy().")
        else:
            assert run == "run True"


def test_a_daemonic_process_is_told_that_it_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    import multiprocessing

    with nirbridge.compile(_graph(), "lava") as program:
        monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
        with pytest.raises(UnsupportedError, match="this process is daemonic.*ProcessPoolExecutor"):
            program.run(_data(1))


def test_other_threads_go_on_printing_while_lava_starts(capsys: pytest.CaptureFixture[str]) -> None:
    """Only what Lava prints in the thread that starts it is kept back."""
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    from nirbridge_lava.forking import making_processes

    with making_processes(), ThreadPoolExecutor(1) as pool:
        pool.submit(print, "a result").result()
        print("what Lava says")
    print("and after")
    assert capsys.readouterr().out == "a result\nand after\n"


def test_a_turn_that_an_interrupt_left_behind_is_free_again() -> None:
    """Ctrl-C between taking a turn and its body, or before giving it back: no call runs that has it."""
    turn = Turn()

    def interrupted() -> None:
        turn.__enter__()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with turn, pytest.raises(UnsupportedError, match="another call of it is under way"), turn:
        pass
    with turn:
        pass


def test_many_interrupts_leave_every_program_usable() -> None:
    """A signal at any place of a call, as Ctrl-C sends it."""
    program = nirbridge.compile(_graph(), "reference")
    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    try:
        for _ in range(300):
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_VIRTUAL, 1e-4)
                while True:
                    program.reset()
            program.reset()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    np.testing.assert_array_equal(program.run(_data(1)).output, _expected(_data(1)))


def test_a_step_runs_while_another_thread_imports_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """It found a module without a Tensor, and raised AttributeError."""
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    assert where(np.array([True, False]), 1, 2).tolist() == [1, 2]
