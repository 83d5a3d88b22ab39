"""Whatever goes wrong in a process, the caller learns it soon, in its own words, and nothing stays behind."""

import gc
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from lava_graphs import (
    graded,
    left_in_shared_memory,
    needs_lava,
    reference_run,
    shared_memory,
    two_layers,
    workers,
)

import nirbridge
from nirbridge.errors import ExecutionError, InputError, UnsupportedError

pytestmark = needs_lava
FRAMES = graded(np.random.default_rng(30), 6, 2, 12)


class UnpicklableError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


@pytest.fixture(scope="module")
def lava_has_run():
    """What the first program of all opens and starts for good is there before a test counts files and processes."""
    with nirbridge.compile(two_layers(), "lava") as program:
        program.run(FRAMES[:1])


@pytest.fixture
def neuron_model(monkeypatch, lava_has_run):
    """Gives the multi-level neuron another step, in the processes made from now on."""
    from nirbridge_lava import dynamics

    def replace(step):
        monkeypatch.setattr(dynamics, "lanes_step", step)

    return replace


@pytest.fixture(autouse=True)
def nothing_left_behind():
    before, memory = workers(), shared_memory()
    yield
    assert workers() == before
    assert left_in_shared_memory(memory) == set()


def fails(program, match, call=None):
    """The call raises soon, long before a process that sleeps for 60 s would go on."""
    begin = time.monotonic()
    with pytest.raises(ExecutionError, match=match) as caught:
        (call or program.run)(FRAMES)
    assert time.monotonic() - begin < 50
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
        nirbridge.compile(two_layers(), "lava"), r"process '[nm]' failed: ZeroDivisionError: the reason itself"
    )
    assert "raise error" in str(found.__cause__)


def test_an_error_in_step_closes_the_program_too(neuron_model):
    neuron_model(raise_after(0, ValueError("at once")))
    program = nirbridge.compile(two_layers(), "lava")
    fails(program, "ValueError: at once", call=lambda frames: program.step(frames[0]))


def test_an_error_that_does_not_unpickle_is_told_as_one(neuron_model):
    neuron_model(raise_after(1, UnpicklableError("a", "b")))
    fails(nirbridge.compile(two_layers(), "lava"), "process '[nm]' failed with an error that does not unpickle here")


def test_what_a_second_process_says_at_its_end_is_not_read():
    from lava.magma.runtime.message_infrastructure.multiprocessing import SystemProcess

    from nirbridge_lava.guarded import _joined

    actor = SystemProcess(target=raise_after(0, UnpicklableError("a", "b")), args=(None, None, None))
    actor.start()
    _joined(actor)
    assert actor._is_done


def test_an_error_while_a_process_is_built(monkeypatch, neuron_model):
    from nirbridge_lava.processes.nodes import PyMultiLevelLIFFloat

    def refuse(self, proc_params):
        raise MemoryError("no room for the neuron")

    monkeypatch.setattr(PyMultiLevelLIFFloat, "__init__", refuse)
    with (
        nirbridge.compile(two_layers(), "lava") as program,
        pytest.raises(ExecutionError, match="MemoryError: no room for the neuron"),
    ):
        program.run(FRAMES)


def open_files():
    """How many files of ours are open."""
    gc.collect()
    return psutil.Process().num_fds()


@pytest.mark.parametrize(("mapping", "possible"), [("processes", 0), ("processes", 4), ("fused", 1)])
def test_too_many_processes_are_told(monkeypatch, neuron_model, mapping, possible):
    import multiprocessing.popen_fork

    files = open_files()
    forks, launch = [], multiprocessing.popen_fork.Popen._launch

    def fork(self, process):
        forks.append(process.name)
        if len(forks) > possible:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        launch(self, process)

    monkeypatch.setattr(multiprocessing.popen_fork.Popen, "_launch", fork)
    with (
        nirbridge.compile(two_layers(), "lava", mapping=mapping) as program,
        pytest.raises(ExecutionError, match="cannot be started .*Resource temporarily unavailable"),
    ):
        program.run(FRAMES)
    assert len(forks) == possible + 1
    assert open_files() == files


def slow(seconds):
    return lambda parameters, x, state: (time.sleep(seconds) or x, state)


def when_running(program, act):
    """A thread that acts half a second after the program's processes have begun to run."""

    def wait_and_act():
        while program._engine is None:
            time.sleep(0.01)
        time.sleep(0.5)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    return thread


@pytest.mark.parametrize("victim", [min, max])
@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_a_killed_process_is_noticed(neuron_model, victim, mapping):
    neuron_model(slow(2))
    before = workers()
    program = nirbridge.compile(two_layers(), "lava", mapping=mapping)

    def kill_one():
        actors = program._engine._runtime._messaging_infrastructure.actors
        os.kill(victim(actor.pid for actor in actors), signal.SIGKILL)

    killer = when_running(program, kill_one)
    fails(program, "process '.*' ended with exit code -9")
    killer.join()
    assert workers() == before


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_the_timeout_ends_a_call_that_takes_too_long(neuron_model, mapping):
    neuron_model(slow(60))
    fails(nirbridge.compile(two_layers(), "lava", timeout=1.0, mapping=mapping), "the timeout is over")


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_the_timeout_is_that_of_each_step(neuron_model, mapping):
    slept = []

    def step(parameters, x, state):
        slept.append(time.sleep(0.02 if len(slept) < 10 else 60))
        return x, state

    neuron_model(step)
    program = nirbridge.compile(two_layers(), "lava", timeout=60, mapping=mapping)
    program.step(FRAMES[0, :1])  # on a busy machine the start of the processes, which counts, may take a second
    program.timeout = 3.0
    for _ in range(4):
        program.step(FRAMES[0, :1])
    fails(program, "the timeout is over", call=lambda frames: [program.step(frames[0, :1]) for _ in range(8)])


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_a_process_that_dies_between_two_steps_is_noticed_in_the_next(mapping):
    program = nirbridge.compile(two_layers(), "lava", mapping=mapping)
    program.step(FRAMES[0])
    os.kill(program._engine._runtime._messaging_infrastructure.actors[0].pid, signal.SIGKILL)
    fails(program, "process '.*' ended with exit code -9", call=lambda frames: program.step(frames[0]))


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_data_of_a_wrong_shape_are_refused_and_the_program_goes_on(mapping):
    with nirbridge.compile(two_layers(), "lava", mapping=mapping) as program:
        expected = program.run(FRAMES).output
        for wrong in (FRAMES[..., :11], FRAMES[0], np.full_like(FRAMES, np.nan)):
            with pytest.raises(InputError, match="input for node 'input'"):
                program.run(wrong)
        np.testing.assert_array_equal(program.run(FRAMES).output, expected)


def test_a_network_that_stands_still_is_given_up_without_a_timeout(neuron_model, monkeypatch):
    monkeypatch.setattr("nirbridge_lava.guarded.STALL_SECONDS", 0.5)
    neuron_model(slow(60))
    fails(nirbridge.compile(two_layers(), "lava"), "no step ended for 0.5 s")


def test_ctrl_c_in_a_run_reaches_the_caller_and_ends_the_processes(neuron_model):
    neuron_model(slow(2))
    program = nirbridge.compile(two_layers(), "lava")
    sender = when_running(program, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        program.run(FRAMES)
    sender.join()
    with pytest.raises(UnsupportedError, match="closed"):
        program.step(FRAMES[0])


def test_the_processes_leave_ctrl_c_to_their_parent(neuron_model):
    before = workers()
    with nirbridge.compile(two_layers(), "lava") as program:
        expected = program.run(FRAMES).output
        for _ in range(2):
            for process in workers() - before:
                os.kill(process, signal.SIGINT)
            time.sleep(0.1)
        np.testing.assert_array_equal(program.run(FRAMES).output, expected)


@pytest.mark.parametrize("seconds", [0.02, 0.08, 0.14, 0.2])
def test_ctrl_c_while_the_processes_start_leaves_none(neuron_model, seconds):
    neuron_model(slow(0.5))
    timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
    with nirbridge.compile(two_layers(), "lava") as program:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            program.run(FRAMES)
    timer.join()


def test_ctrl_c_while_the_processes_are_ended_leaves_none(monkeypatch):
    from nirbridge_lava import guarded

    program = nirbridge.compile(two_layers(), "lava")
    program.run(FRAMES)
    files, joined = open_files(), guarded._joined

    def interrupted(actor):
        if not signals:
            signals.append(actor)
            signal.raise_signal(signal.SIGINT)
        joined(actor)

    signals = []
    monkeypatch.setattr(guarded, "_joined", interrupted)
    with pytest.raises(KeyboardInterrupt):
        program.close()
    assert open_files() < files


def test_an_end_that_nobody_noted_is_no_hindrance():
    program = nirbridge.compile(two_layers(), "lava", mapping="fused")
    program.run(FRAMES)
    actor = program._engine._runtime._messaging_infrastructure.actors[0]
    os.kill(actor.pid, signal.SIGKILL)
    os.waitpid(actor.pid, 0)
    program.close()


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_no_process_keeps_shared_memory_that_has_a_name(mapping):
    """What Lava's manager would keep stays in the file system where it and the program are killed at once."""
    memory, before = shared_memory(), workers()
    with nirbridge.compile(two_layers(), "lava", mapping=mapping) as program:
        program.run(FRAMES)
        assert workers() - before == {actor.pid for actor in program._engine._runtime._messaging_infrastructure.actors}
        assert left_in_shared_memory(memory, within=0.0) == set()


def test_after_a_failure_the_next_program_works(neuron_model, monkeypatch):
    neuron_model(raise_after(0, ValueError("once")))
    fails(nirbridge.compile(two_layers(), "lava"), "ValueError: once")
    monkeypatch.undo()
    with nirbridge.compile(two_layers(), "lava") as program:
        np.testing.assert_array_equal(program.run(FRAMES).output, reference_run(two_layers(), FRAMES).output)
