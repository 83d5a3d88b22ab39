"""Processes, threads, files and shared memory: as many after a program as before it."""

import gc
import operator
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from lava_graphs import graded, left_in_shared_memory, needs_lava, shared_memory, two_layers, workers

import nirbridge

pytestmark = needs_lava
FRAMES = graded(np.random.default_rng(40), 4, 1, 12)
HERE = Path(__file__).parent
BEGIN = """
import os, signal, sys, time, numpy as np, nirbridge
from lava_graphs import two_layers
x = np.ones((2, 1, 12))
"""


def script(text, **options):
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error::ResourceWarning"}
    command = [sys.executable, "-c", BEGIN + text]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=HERE, **options
    )


def run_script(text):
    """Runs it to its end; returns (exit code, output, errors) and checks that nothing is left in shared memory."""
    before = shared_memory()
    process = script(text)
    out, err = process.communicate(timeout=120)
    assert left_in_shared_memory(before) == set()
    return process.returncode, out, err


def usage():
    gc.collect()
    return len(workers()), threading.active_count(), psutil.Process().num_fds()


def compile_and_run():
    with nirbridge.compile(two_layers(), "lava", mapping="fused", timeout=60) as program:
        program.run(FRAMES)
    with nirbridge.compile(two_layers(), "lava", timeout=60) as program:
        program.run(FRAMES)
        program.run(FRAMES, ["n"])


def test_nothing_grows_from_program_to_program():
    from lava.magma.core.process.process import AbstractProcess

    def known():
        return sum(issubclass(type(found), AbstractProcess) for found in gc.get_objects())

    compile_and_run()
    before, processes, memory = usage(), known(), shared_memory()
    for _ in range(4):
        compile_and_run()
    deadline = time.monotonic() + 30
    while any(map(operator.gt, usage(), before)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(operator.gt, usage(), before)), "four programs leave no more than one does"
    assert known() <= processes
    assert left_in_shared_memory(memory) == set()


def test_close_is_idempotent_and_immediate():
    program = nirbridge.compile(two_layers(), "lava")
    program.run(FRAMES)
    children = workers()
    begin = time.monotonic()
    program.close()
    program.close()
    assert time.monotonic() - begin < 30
    assert len(children) >= 7
    assert not any(psutil.pid_exists(child) for child in children)


def test_messages_need_no_threads():
    """Beside its own a process has the watch over its parent and the one that tells that it is built."""
    before = threading.active_count()
    with nirbridge.compile(two_layers(), "lava") as program:
        program.run(FRAMES)
        assert max(psutil.Process(child).num_threads() for child in workers()) <= 3
        assert threading.active_count() == before


def test_closing_what_never_ran():
    nirbridge.compile(two_layers(), "lava").close()


def test_a_program_that_nobody_holds_ends_its_processes():
    program = nirbridge.compile(two_layers(), "lava")
    program.run(FRAMES)
    before = usage()[0]
    del program
    assert usage()[0] < before


def test_lava_leaves_loggers_and_standard_output_alone(capfd):
    import logging

    before = [list(logging.getLogger(name).handlers) for name in (None, "lava.magma.compiler.compiler")]
    compile_and_run()
    assert [list(logging.getLogger(name).handlers) for name in (None, "lava.magma.compiler.compiler")] == before
    assert capfd.readouterr() == ("", "")


def test_a_forgotten_close_lets_the_interpreter_end():
    code, out, err = run_script("p = nirbridge.compile(two_layers(), 'lava'); print(p.run(x).output.shape)")
    assert (code, out.strip(), err) == (0, "(2, 1, 5)", "")


def test_an_error_of_the_caller_lets_the_interpreter_end():
    code, _, err = run_script("p = nirbridge.compile(two_layers(), 'lava'); p.run(x); raise SystemExit('mine')")
    assert code == 1
    assert err.strip() == "mine"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_it_works_where_another_start_method_was_set(method):
    code, out, err = run_script(
        f"import multiprocessing as mp; mp.set_start_method('{method}')\n"
        "with nirbridge.compile(two_layers(), 'lava') as p: p.run(x)\n"
        "print(mp.get_start_method())"
    )
    assert (code, out.strip(), err) == (0, method, "")


STREAM = """
program = nirbridge.compile(two_layers(), 'lava', mapping='MAPPING')
program.step(x[0])
print('streaming', flush=True)
while True: program.step(x[0])
"""


def started(text, mapping):
    """A script that streams, with its processes."""
    process = script(text.replace("MAPPING", mapping), start_new_session=True)
    assert process.stdout.readline().strip() == "streaming"
    return process, psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("sent", ["kill", "terminate"])
@pytest.mark.parametrize(("mapping", "processes"), [("processes", 7), ("fused", 2)])
def test_a_killed_parent_leaves_no_orphan_and_no_shared_memory(sent, mapping, processes):
    before = shared_memory()
    process, children = started(STREAM, mapping)
    assert len(children) >= processes
    getattr(process, sent)()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert left_in_shared_memory(before) == set()


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_ctrl_c_at_the_terminal_ends_all_with_one_traceback(mapping):
    process, children = started(STREAM, mapping)
    os.killpg(process.pid, 2)
    _, err = process.communicate(timeout=60)
    _, alive = psutil.wait_procs(children, timeout=60)
    assert alive == []
    assert err.count("Traceback") == 1
    assert err.strip().endswith("KeyboardInterrupt")
