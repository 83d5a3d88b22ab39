"""Whatever goes wrong in a process, the caller learns it soon, in its own words, and nothing stays behind."""

import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from lava_graphs import graded, needs_lava, reference_run, two_layers

import nirbridge
from nirbridge.errors import ExecutionError, UnsupportedError

pytestmark = needs_lava
FRAMES = graded(np.random.default_rng(30), 6, 2, 12)


class UnpicklableError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


@pytest.fixture
def neuron_model(monkeypatch):
    """Gives the multi-level neuron another step, in the processes made from now on."""
    with nirbridge.compile(two_layers(), "lava") as program:
        program.run(FRAMES[:1])
    from nirbridge_lava.processes.neurons import PyMultiLevelLIFFloat

    def replace(step):
        monkeypatch.setattr(PyMultiLevelLIFFloat, "advance", staticmethod(step))

    return replace


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before, memory = workers(), os.listdir("/dev/shm")
    yield
    assert workers() == before
    assert os.listdir("/dev/shm") == memory


def workers():
    """Our children, without the tracker that Python itself keeps for the life of the interpreter."""
    children = psutil.Process().children(recursive=True)
    return sorted(child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline()))


def fails(program, match, within=5.0, call=None):
    begin = time.monotonic()
    with pytest.raises(ExecutionError, match=match) as caught:
        (call or program.run)(FRAMES)
    assert time.monotonic() - begin < within
    with pytest.raises(UnsupportedError, match="program: it is closed"):
        program.run(FRAMES)
    return caught.value


def raise_after(steps, error):
    seen = []

    def step(parameters, x, state):
        seen.append(x)
        if len(seen) > steps:
            raise error
        return np.zeros_like(x), state

    return step


def test_an_error_in_a_process_arrives_with_its_own_message(neuron_model):
    neuron_model(raise_after(3, ZeroDivisionError("the reason itself")))
    found = fails(
        nirbridge.compile(two_layers(), "lava"), r"a Lava process failed: ZeroDivisionError: the reason itself"
    )
    assert "raise error" in str(found.__cause__)


def test_an_error_in_step_closes_the_program_too(neuron_model):
    neuron_model(raise_after(0, ValueError("at once")))
    program = nirbridge.compile(two_layers(), "lava")
    fails(program, "ValueError: at once", call=lambda frames: program.step(frames[0]))


def test_an_error_that_does_not_unpickle_is_told_as_one(neuron_model):
    neuron_model(raise_after(1, UnpicklableError("a", "b")))
    fails(nirbridge.compile(two_layers(), "lava"), "an error that does not unpickle here")


def test_an_error_while_a_process_is_built(monkeypatch, neuron_model):
    from nirbridge_lava.processes.neurons import PyMultiLevelLIFFloat

    def refuse(self, proc_params):
        raise MemoryError("no room for the neuron")

    monkeypatch.setattr(PyMultiLevelLIFFloat, "__init__", refuse)
    with (
        nirbridge.compile(two_layers(), "lava") as program,
        pytest.raises(ExecutionError, match="MemoryError: no room for the neuron"),
    ):
        program.run(FRAMES)


def test_a_killed_process_is_noticed(neuron_model):
    neuron_model(lambda parameters, x, state: (time.sleep(0.2), state)[::-1])
    program = nirbridge.compile(two_layers(), "lava")
    before = set(workers())

    def kill_one():
        while len(set(workers()) - before) < 8:
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(max(set(workers()) - before), signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    neuron_model(lambda parameters, x, state: (time.sleep(0.3) or x, state))
    fails(program, "a Lava process ended by itself with exit code -9")
    killer.join()


def test_the_timeout_ends_a_call_that_takes_too_long(neuron_model):
    neuron_model(lambda parameters, x, state: (time.sleep(30) or x, state))
    fails(nirbridge.compile(two_layers(), "lava", timeout=1.0), "the timeout is over")


def test_a_network_that_stands_still_is_given_up_without_a_timeout(neuron_model, monkeypatch):
    monkeypatch.setattr("nirbridge_lava.guarded.STALL_SECONDS", 0.5)
    neuron_model(lambda parameters, x, state: (time.sleep(30) or x, state))
    fails(nirbridge.compile(two_layers(), "lava"), "no step ended for 0.5 s")


def test_ctrl_c_in_a_run_reaches_the_caller_and_ends_the_processes(neuron_model):
    neuron_model(lambda parameters, x, state: (time.sleep(0.5) or x, state))
    program = nirbridge.compile(two_layers(), "lava")
    timer = threading.Timer(1.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        program.run(FRAMES)
    timer.join()
    with pytest.raises(UnsupportedError, match="closed"):
        program.step(FRAMES[0])


def test_after_a_failure_the_next_program_works(neuron_model, monkeypatch):
    neuron_model(raise_after(0, ValueError("once")))
    fails(nirbridge.compile(two_layers(), "lava"), "ValueError: once")
    monkeypatch.undo()
    with nirbridge.compile(two_layers(), "lava") as program:
        np.testing.assert_array_equal(program.run(FRAMES).output, reference_run(two_layers(), FRAMES).output)
