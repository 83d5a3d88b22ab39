"""run, advance and step are one stream: states carry over exactly, whatever the batch and wherever it is cut."""

import multiprocessing
import threading

import numpy as np
import pytest
from lava_graphs import assert_same, graded, needs_lava, reference_run, residual, two_layers

import nirbridge
from nirbridge.errors import InputError, UnsupportedError

pytestmark = needs_lava


@pytest.fixture(scope="module")
def program():
    with nirbridge.compile(two_layers(), "lava", timeout=60) as compiled:
        yield compiled


@pytest.fixture(scope="module")
def frames():
    return graded(np.random.default_rng(20), 12, 3, 12)


@pytest.fixture(scope="module")
def expected(frames):
    return reference_run(two_layers(), frames).output


def test_run_twice_starts_from_fresh_states(program, frames, expected):
    for _ in range(2):
        np.testing.assert_array_equal(program.run(frames).output, expected)
    assert expected.any()


def test_advance_in_uneven_parts_equals_run(program, frames, expected):
    program.reset()
    parts = [program.advance(frames[a:b]).output for a, b in ((0, 1), (1, 6), (6, 12))]
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_step_equals_run(program, frames, expected):
    program.reset()
    np.testing.assert_array_equal(np.stack([program.step(frame) for frame in frames]), expected)


def test_one_program_serves_every_batch_size(program, frames, expected):
    engine = program._engine
    for sample in range(3):
        np.testing.assert_array_equal(program.run(frames[:, sample : sample + 1]).output[:, 0], expected[:, sample])
    np.testing.assert_array_equal(program.run(frames[:, [2, 1]]).output, expected[:, [2, 1]])
    assert program._engine is engine, "the processes were built anew"


def test_batch_size_may_change_only_after_a_reset(program, frames):
    program.reset()
    program.step(frames[0])
    with pytest.raises(InputError, match=r"batch of 1, but the states are those of a batch of 3"):
        program.step(frames[0, :1])
    program.reset()
    assert program.step(frames[0, :1]).shape == (1, 5)


def test_whole_numbers_and_booleans_are_frames_too(program, frames, expected):
    np.testing.assert_array_equal(program.run(frames.astype(np.int16)).output, expected)
    spikes = frames > 0
    np.testing.assert_array_equal(program.run(spikes).output, reference_run(two_layers(), spikes).output)


def test_long_runs_go_through_in_blocks_that_cut_a_batch(monkeypatch, frames, expected):
    monkeypatch.setattr("nirbridge_lava.shared.BUFFER_BYTES", 5 * 8 * (12 + 5))
    with nirbridge.compile(two_layers(), "lava", timeout=60) as small:
        np.testing.assert_array_equal(small.run(frames).output, expected)
        assert small._engine._memory.capacity == 5
        small.reset()
        parts = [small.advance(frames[:7]).output, small.advance(frames[7:]).output]
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_records_may_change_from_run_to_run_but_not_in_the_middle():
    graph = residual()
    x = graded(np.random.default_rng(21), 4, 2, 2, 9, 8)
    with nirbridge.compile(graph, "lava", timeout=60) as program:
        assert_same(reference_run(graph, x, ["n0"]), program.run(x, ["n0"]))
        assert program.advance(x[:1], ["n0"]).records.keys() == {"n0"}
        with pytest.raises(UnsupportedError, match=r"record 'n2': .* in the middle of a run. Call reset first"):
            program.advance(x[:1], ["n2"])
        assert_same(reference_run(graph, x, ["n2", "fc"]), program.run(x, ["n2", "fc"]))
        assert program.run(x).records == {}


def test_a_program_outlives_the_thread_that_built_it(frames, expected):
    with nirbridge.compile(two_layers(), "lava", timeout=60) as program:
        builder = threading.Thread(target=program.run, args=(frames[:1],))
        builder.start()
        builder.join()
        np.testing.assert_array_equal(program.run(frames).output, expected)


def test_two_programs_at_once_and_the_start_method_stays_as_it_was(program, frames, expected):
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        with nirbridge.compile(two_layers(), "lava", timeout=60) as other:
            np.testing.assert_array_equal(other.run(frames).output, expected)
            assert multiprocessing.get_start_method() == "spawn"
            np.testing.assert_array_equal(program.run(frames).output, expected)
    finally:
        multiprocessing.set_start_method(before, force=True)
