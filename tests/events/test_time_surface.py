"""Time surfaces: what stays from window to window, where windows end, and the file that says how."""

import io

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli.encode import command
from nirbridge.errors import GraphError, InputError
from nirbridge.ir import EventInput, spec_of
from nirbridge_events import FrameEncoder, decode, encode, open_recording, write_nmnist
from tests.events import naive

SENSOR = (7, 5)


def surface(events, window=50, **options):
    return FrameEncoder(SENSOR, window, "time-surface", **{"tau": 100, **options}), events


def frames_of(encoder, *chunks):
    return [window.frame for chunk in chunks for window in encoder.windows(chunk)]


def test_what_was_seen_decays_and_stays():
    encoder, events = surface(naive.events_of([(0, 1, 2, 1), (10, 1, 2, 1), (49, 3, 3, 0), (220, 0, 0, 1)]))
    frames = np.stack([*frames_of(encoder, events), *(window.frame for window in encoder.finish_windows())])
    assert frames.shape == (5, 2, 5, 7)
    np.testing.assert_allclose(frames[:, 1, 2, 1], np.exp(-(np.arange(1, 6) * 50 - 10) / 100), rtol=1e-6)
    np.testing.assert_allclose(frames[:, 0, 3, 3], np.exp(-(np.arange(1, 6) * 50 - 49) / 100), rtol=1e-6)
    assert frames[:, 1, 0, 0].tolist() == [0, 0, 0, 0, np.float32(np.exp(-0.3))]
    assert encoder.report.empty_windows == 3
    assert np.count_nonzero(frames) == 5 + 5 + 1


def test_a_silent_source_sees_them_fade():
    encoder, events = surface(naive.events_of([(5, 1, 1, 1)]), start=0)
    frames = [*frames_of(encoder, events), *(window.frame for window in encoder.windows_until(150))]
    np.testing.assert_allclose([frame[1, 1, 1] for frame in frames], np.exp([-0.45, -0.95, -1.45]), rtol=1e-6)


def test_gaps_that_are_left_out_still_take_their_time():
    encoder, events = surface(naive.events_of([(0, 1, 1, 1), (10_000, 2, 2, 1)]), max_gap=2, gap="count", tau=10_000)
    windows = [*encoder.windows(events), *encoder.finish_windows()]
    assert [window.index for window in windows] == [0, 1, 2, 200]
    np.testing.assert_allclose(windows[-1].frame[1, 1, 1], np.exp(-1.005), rtol=1e-6)


def test_windows_of_so_many_events_end_with_their_last():
    events = naive.make_events(np.random.default_rng(0), 95, SENSOR, span=3000)
    frames = encode(events, SENSOR, None, "time-surface", per_events=20, tau=400)
    ends = [int(events.t[min(at, 94)]) + 1 for at in (19, 39, 59, 79, 94)]
    rows = naive.rows_of(events)
    wanted = [
        naive.surface_frames(rows[: (i + 1) * 20], SENSOR, 1, 400, SENSOR, 2, rows[0][0], [end])[0]
        for i, end in enumerate(ends)
    ]
    np.testing.assert_allclose(frames, wanted, rtol=1e-6)


@pytest.mark.parametrize("last", [(1 << 63) - 1, 0])
def test_times_as_far_apart_as_they_can_be(last):
    events = naive.events_of([(-(1 << 63), 1, 1, 1), (last, 2, 2, 1)])
    encoder = FrameEncoder(SENSOR, 1 << 40, "time-surface", tau=1 << 40, max_gap=1, gap="count")
    windows = [*encoder.windows(events), *encoder.finish_windows()]
    assert windows[0].frame[1, 1, 1] == np.float32(np.exp(-1))
    assert np.argwhere(windows[-1].frame).tolist() == [[1, 2, 2]]


def test_a_real_recording_equals_the_equation(shared_data):
    path = next((shared_data / "nmnist-small/train").glob("*.bin"))
    recording = open_recording(path)
    frames = encode(recording, window=20_000, coding="time-surface", tau=30_000)
    rows = [row for chunk in recording for row in naive.rows_of(chunk)]
    wanted = naive.surface_frames(rows, (34, 34), 20_000, 30_000, (34, 34), 2, rows[0][0])
    np.testing.assert_allclose(frames, wanted, rtol=1e-6)


def test_the_command_line_has_its_option(tmp_path):
    events = naive.make_events(np.random.default_rng(0), 500, (34, 34), span=95_000)
    write_nmnist(tmp_path / "a.bin", events)
    arguments = [str(tmp_path / "a.bin"), "-o", str(tmp_path / "f.npy"), "--window", "10ms"]
    result = CliRunner().invoke(command, [*arguments, "--coding", "time-surface", "--tau", "30ms"])
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(
        np.load(tmp_path / "f.npy"), encode(events, (34, 34), 10_000, "time-surface", tau=30_000)
    )
    result = CliRunner().invoke(command, [*arguments, "--coding", "count", "--tau", "30ms"])
    assert "tau: goes with coding 'time-surface', not with 'count'" in str(result.exception)


def test_they_are_not_decoded():
    with pytest.raises(InputError, match="coding: 'time-surface' keeps one event of each pixel"):
        decode(np.zeros((1, 2, 5, 7), np.float32), SENSOR, 50, "time-surface")


def graph_with(node):
    flat, layer = nir.Flatten({"input": np.array(node.shape)}, 0, -1), nir.Linear(np.ones((4, 70)))
    nodes = {"in": node, "flat": flat, "fc": layer, "out": nir.Output(np.array([4]))}
    return nir.NIRGraph(nodes, [("in", "flat"), ("flat", "fc"), ("fc", "out")], type_check=False)


def written(graph):
    file = io.BytesIO()
    nirbridge.write(file, graph)
    return nirbridge.read(io.BytesIO(file.getvalue()))


def test_a_file_says_how_its_surfaces_are_made():
    node = EventInput((2, 5, 7), SENSOR, 50, coding="time-surface", tau_surface=120)
    again = written(graph_with(node)).nodes["in"]
    assert (again.coding, again.tau_surface) == ("time-surface", 120)
    assert EventInput((2, 5, 7), SENSOR, 50, coding="time-surface").tau_surface == 50_000
    events = naive.make_events(np.random.default_rng(1), 300, SENSOR)
    encoder = FrameEncoder.from_node(again)
    frames = np.concatenate([encoder.push(events), encoder.finish()])
    np.testing.assert_array_equal(frames, encode(events, SENSOR, 50, "time-surface", tau=120))
    assert "tau_surface" in nirbridge.show(graph_with(node))


def test_files_of_other_codings_are_as_they_were():
    node = EventInput((2, 5, 7), SENSOR, 50, 4, 3, "one-hot")
    assert "tau_surface" not in node.to_dict()
    assert written(graph_with(node)).nodes["in"].tau_surface == 0


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"coding": "count", "tau_surface": 5}, "tau_surface goes with coding 'time-surface', not with 'count'"),
        ({"coding": "time-surface", "tau_surface": -1}, "tau_surface"),
        ({"coding": "time-surface", "downsample": "sum"}, "downsample 'sum' with coding 'time-surface'"),
        ({"coding": "time-surface", "subframes": 3}, "3 subframes with coding 'time-surface'"),
    ],
)
def test_nodes_that_contradict_themselves_are_refused(changes, found):
    with pytest.raises(GraphError, match=found):
        EventInput((2, 5, 7), SENSOR, 50, **changes)


def test_surfaces_count_as_analog_and_lie_between_0_and_1():
    node = EventInput((2, 5, 7), SENSOR, 50, coding="time-surface")
    assert spec_of(node).sends.range(node) == (0.0, 1.0)
    for coding, kind in (("time-surface", "analog"), ("count", "events")):
        graph = graph_with(EventInput((2, 5, 7), SENSOR, 50, coding=coding))
        report = nirbridge.energy(graph, np.ones((3, 1, 2, 5, 7)))
        assert any(f"input 'in' counts as {kind}" in line for line in report.assumptions)
