"""Work in parts: every part once, whichever threads do it, and what goes wrong in one reaches the caller."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from nirbridge.neurons import MultiLevelLIF
from nirbridge.threads import in_parts

PARTS = 50


@pytest.fixture(params=["one thread", "several threads"])
def threads(request):
    """How many to ask for."""
    before, count = torch.get_num_threads(), 1 if request.param == "one thread" else 2
    torch.set_num_threads(count)
    yield count
    torch.set_num_threads(before)


def test_every_part_is_done_once(threads):
    done = [0] * PARTS

    def work(part):
        total = sum(range(20000))  # gives the others a turn
        assert total
        done[part] += 1

    for _ in range(20):
        in_parts(PARTS, work, threads)
    assert done == [20] * PARTS


def test_several_threads_take_part(threads):
    seen, met = set(), threading.Barrier(threads, timeout=60)

    def work(part):
        seen.add(threading.get_ident())
        met.wait()  # nobody comes alone

    in_parts(threads, work, threads)
    assert len(seen) == threads


def test_what_is_raised_reaches_the_caller_and_the_next_call_works(threads):
    def work(part):
        if part == 7:
            raise ValueError("in a part")

    with pytest.raises(ValueError, match="in a part"):
        in_parts(PARTS, work, threads)
    done = []
    in_parts(PARTS, done.append, threads)
    assert sorted(done) == list(range(PARTS))


def test_several_callers_at_once(threads):
    results = [[] for _ in range(4)]
    callers = [threading.Thread(target=in_parts, args=(PARTS, found.append, threads)) for found in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert [sorted(found) for found in results] == [list(range(PARTS))] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_threads_that_it_has_not(threads):
    in_parts(PARTS, lambda part: None, threads)
    child = os.fork()
    if child == 0:
        done = []
        in_parts(PARTS, done.append, threads)
        os._exit(0 if sorted(done) == list(range(PARTS)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def trained(seed):
    """Outputs and gradients of a layer large enough for two threads."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 2, 3, 150, 160, generator=generator).requires_grad_()
    neuron = MultiLevelLIF(3, 0.75, 0.5, learn_threshold=True)
    y = neuron(x)
    y.sum().backward()
    return [y.detach(), x.grad, neuron.threshold.grad]


def test_neurons_in_several_threads_at_once_keep_their_rows_apart(threads):
    pytest.importorskip("numba")
    expected, found = [trained(seed) for seed in range(4)], {}
    callers = [threading.Thread(target=lambda s=seed: found.update({s: trained(s)})) for seed in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    for seed, each in enumerate(expected):
        torch.testing.assert_close(found[seed], each, rtol=0, atol=0)


LATE = """
import threading, time
import torch
from nirbridge.neurons import MultiLevelLIF
torch.set_num_threads(2)
x = torch.randn(4, 2, 3, 150, 160)
first = MultiLevelLIF(3)(x)
def late():
    threading.main_thread().join()
    assert torch.equal(MultiLevelLIF(3)(x), first)
    print("done")
threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_goes_on():
    pytest.importorskip("numba")
    ended = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
