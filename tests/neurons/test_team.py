"""Work in parts: every part once, whichever threads do it, and what goes wrong in one reaches the caller."""

import os
import threading

import numpy as np
import pytest
import torch

from nirbridge.neurons.fused import team
from nirbridge.neurons.fused.team import in_parts

PARTS = 50


@pytest.fixture(params=["one thread", "torch's threads", "other threads"])
def threads(request, monkeypatch):
    """How many to ask for."""
    if request.param == "other threads":
        monkeypatch.setattr(team, "_gnu_openmp", lambda process: None)
    elif request.param == "torch's threads" and team._gnu_openmp(os.getpid()) is None:
        pytest.skip("this build of torch brings no GNU OpenMP")
    before, count = torch.get_num_threads(), 1 if request.param == "one thread" else 2
    torch.set_num_threads(count)
    yield count
    torch.set_num_threads(before)


def test_every_part_is_done_once_with_a_buffer_of_its_thread(threads):
    done = [0] * PARTS

    def work(part, buffer):
        assert buffer.shape == (4096,)
        buffer[:] = part % 256
        total = float(np.sin(np.arange(20000.0)).sum())  # gives the others a turn
        assert total == total
        assert (buffer == part % 256).all(), "another thread has the same buffer"
        done[part] += 1

    for _ in range(20):
        in_parts(PARTS, work, threads, 4096)
    assert done == [20] * PARTS


def test_several_threads_take_part(threads):
    seen, met = set(), threading.Barrier(threads, timeout=60)

    def work(part, buffer):
        seen.add(threading.get_ident())
        met.wait()  # nobody comes alone

    in_parts(threads, work, threads, 8)
    assert len(seen) == threads


def test_what_is_raised_reaches_the_caller_and_the_next_call_works(threads):
    def work(part, buffer):
        if part == 7:
            raise ValueError("in a part")

    with pytest.raises(ValueError, match="in a part"):
        in_parts(PARTS, work, threads, 8)
    done = []
    in_parts(PARTS, lambda part, buffer: done.append(part), threads, 8)
    assert sorted(done) == list(range(PARTS))


def test_several_callers_at_once(threads):
    def call(found):
        in_parts(PARTS, lambda part, buffer: found.append(part), threads, 64)

    results = [[] for _ in range(4)]
    callers = [threading.Thread(target=call, args=(found,)) for found in results]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert [sorted(found) for found in results] == [list(range(PARTS))] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_threads_that_it_has_not(threads):
    in_parts(PARTS, lambda part, buffer: None, threads, 8)
    child = os.fork()
    if child == 0:
        done = []
        in_parts(PARTS, lambda part, buffer: done.append(part), threads, 8)
        os._exit(0 if sorted(done) == list(range(PARTS)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
