"""Bad events: off the sensor, times that contradict each other, words that a format does not have, cut words."""

import struct
from contextlib import nullcontext

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.cli import encode as encode_module
from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge_events import Events, LossWarning, encode, open_recording
from nirbridge_events.readers import base, sieve
from nirbridge_events.readers.order import TimeOrder
from nirbridge_events.readers.sieve import TimeSieve
from tests.events import naive
from tests.events import naive_formats as formats
from tests.events.cameras import camera
from tests.events.test_bad_recordings_formats import WRITERS
from tests.events.test_readers_order import events_at


def read(recording):
    return Events.concatenate(list(recording))


def skipping(source, size=(128, 128), **options):
    recording = open_recording(source, size, bad_events="skip", **options)
    return read(recording), recording.report


def davis346(rows):
    """jAER's AEDAT 2.0 of a Davis346 with raw rows (t, x, y), y counted from the bottom and of nine bits."""
    head = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.Davis346blue\r\n"
    words = [(345 - x) << 12 | ybits << 22 | 1 << 11 for _, x, ybits in rows]
    return head + b"".join(struct.pack(">II", word, t) for word, (t, _, _) in zip(words, rows, strict=True))


def test_rows_that_the_chip_does_not_have_are_named_and_can_be_skipped(tmp_path):
    path = tmp_path / "stray.aedat"
    path.write_bytes(davis346([(10, 5, 259), (20, 300, 306), (30, 345, 0), (40, 7, 511)]))
    with pytest.raises(FileError, match=r"event 1 lies at \(300, -47\), outside the sensor of 346x260") as error:
        read(open_recording(path))
    assert "Leave such ones out with --bad-events skip" in str(error.value)
    assert "sensor size" not in str(error.value)
    events, report = skipping(path, None)
    assert naive.rows_of(events) == [(10, 5, 0, 1), (30, 345, 259, 1)]
    assert (report.events, report.outside_events) == (2, 2)
    assert report.lines() == ["2 events outside the sensor were left out"]


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("nmnist.bin", "dvs128.aedat")])
def test_every_reader_leaves_out_and_counts_what_is_off_the_sensor(tmp_path, name):
    WRITERS[name][0](tmp_path / name, [(5000, 1, 2, 1), (6000, 128, 5, 0), (7000, 3, 400, 1), (8000, 9, 1, 1)])
    events, report = skipping(tmp_path / name)
    assert naive.rows_of(events) == [(5000, 1, 2, 1), (8000, 9, 1, 1)]
    assert report.outside_events == 2


def test_places_that_no_file_should_hold_keep_their_number(tmp_path):
    (tmp_path / "a.csv").write_text("t,x,y,p\n1,2,3,1\n2,-5,3,1\n3,2,70000,0\n4,7,7,1\n")
    for size in (None, (34, 34)):
        with pytest.raises(FileError, match="line 3 has x = -5, which is no whole pixel in 0..65535"):
            read(open_recording(tmp_path / "a.csv", size))
    assert naive.rows_of(skipping(tmp_path / "a.csv", None)[0]) == [(1, 2, 3, 1), (4, 7, 7, 1)]
    rows = naive.events_of([(1, 2, 3, 1), (2, -5, 3, 1)])
    with pytest.raises(InputError, match=r"event 1: \(-5, 3\) is outside the sensor of 34x34 pixels"):
        encode(rows, (34, 34), 10)
    assert encode(rows, (34, 34), 10, "count", outside="count").sum() == 1


def test_a_few_strays_do_not_make_the_sensor(tmp_path):
    rows = [(i, i % 300, i % 250, 1) for i in range(5000)]
    rows[700] = (700, 3, 33_015, 1)
    with pytest.raises(InputError, match=r"event 700 lies at \(3, 33015\), outside the sensor of 346x260"):
        read(open_recording(naive.events_of(rows)))
    assert open_recording(naive.events_of(rows + [(9999, 1300, 1000, 1)] * 6)).sensor_size == (1301, 1001)
    assert open_recording(naive.events_of(rows[600:750])).sensor_size == (346, 260)


def glitched(times, changes):
    t = list(times)
    for at, time in changes.items():
        t[at] = time
    return t


BASE = list(range(1000, 101_000, 50))
CLOCKS = {
    "leftovers in front": (glitched(BASE, {0: 9_000_000, 1: 9_000_010}), 0, 2),
    "falling leftovers": ([9_000_000, 8_000_000, 7_000_000, 7_000_010, *BASE], 0, 4),
    "many leftovers": ([*range(9_000_000, 9_000_900), *BASE], 0, 900),
    "more leftovers than a few": ([*range(9_000_000, 9_004_500), *range(0, 300_000, 50)], 0, 4500),
    "a glitch back": (glitched(BASE, {1990: 1500, 1995: 1750}), 2, 0),
    "a glitch forward": (glitched(BASE, {700: 90_000_000}), 0, 1),
    "a glitch of 40 ms": (glitched(BASE, {700: BASE[700] + 40_000}), 0, 1),
    "both": (glitched(BASE, {700: 90_000_000, 705: 2}), 1, 1),
    "a last one ahead": ([*BASE, 5_000_000], 0, 0),
    "a clock that starts again": ([*BASE, *BASE[:500]], 500, 0),
    # The second run has 479 events until it catches up with the first, and as many of the first contradict it.
    "a clock that starts again soon": ([*BASE[:500], *BASE], 479, 0),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_of_times_that_contradict_each_other_those_that_most_agree_with_are_kept(name):
    times, late, ahead = CLOCKS[name]
    source = events_at(times)
    if late or ahead:
        with pytest.raises(InputError, match="times must not go back by more than 1000 µs"):
            read(open_recording(source, (256, 256)))
    recording = open_recording(source, (256, 256), bad_events="skip")
    events = read(recording)
    assert (recording.report.late_events, recording.report.ahead_events) == (late, ahead)
    assert len(events) == len(times) - late - ahead
    assert (np.diff(events.t) >= 0).all()


def test_a_clock_that_starts_again_is_said():
    times = [*range(5_000_000, 5_025_000, 50), *range(0, 25_000, 50)]
    with pytest.raises(InputError, match="event 500 has time 0 µs after 5024950 µs.*: the clock .* started again"):
        read(open_recording(events_at(times), (256, 256)))
    events, report = skipping(events_at(times), (256, 256))
    assert (len(events), report.late_events, report.longest_back_us) == (500, 500, 5_024_950)
    assert report.lines() == [
        "500 events came too late and were left out",
        "times go back by up to 5.02 s, as if the clock had started again; kept is one run of it",
    ]


def test_more_bad_events_than_good_ones_are_an_error(monkeypatch):
    times = [*range(5_000_000, 5_025_000, 50), *range(0, 30_000, 50)]
    # Beyond what may be given up for later events, the first run stands.
    monkeypatch.setattr(sieve, "LOOK_BACK", 100)
    recording = open_recording(events_at(times), (256, 256), bad_events="skip")
    with pytest.raises(InputError, match="600 of 1100 events are bad .600 with times that contradict the others"):
        read(recording)
    rows = naive.events_of([(i, i % 34, 30, 1) for i in range(100)])
    recording = open_recording(rows, (15, 34), bad_events="skip")
    with pytest.raises(InputError, match=r"55 of 100 events are bad \(55 outside the sensor\).*--sensor WxH"):
        read(recording)


def kept_one_by_one(times, jitter):
    """The indices that the sieve keeps, from chunks of one event."""
    return kept(times, jitter, range(len(times)))


def kept(times, jitter, cuts):
    time_sieve, events = TimeSieve(jitter), events_at(times)
    parts = [time_sieve.push(events[a:b]) for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    events = Events.concatenate([*parts, time_sieve.flush()])
    assert len(events) + time_sieve.late + time_sieve.ahead == len(times)
    return (events.x.astype(int) + 256 * events.y.astype(int)).tolist(), (
        time_sieve.late,
        time_sieve.ahead,
        time_sieve.longest_back,
    )


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0] * 8 + [-60, -15, 5, 40])), min_size=1, max_size=60),
    st.data(),
    st.sampled_from([0, 1, 3, 10]),
    st.sampled_from([2, 5, 16, 1 << 14]),
)
def test_what_is_kept_does_not_depend_on_chunks_and_is_in_order(steps, data, jitter, look_back):
    times = np.cumsum([100, *(step for step, _ in steps[1:])]) + [glitch for _, glitch in steps]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(times)), max_size=6)))
    before, sieve.LOOK_BACK = sieve.LOOK_BACK, look_back
    try:
        indices, counts = kept(times.tolist(), jitter, cuts)
        assert (indices, counts) == kept_one_by_one(times.tolist(), jitter)
    finally:
        sieve.LOOK_BACK = before
    assert indices == sorted(indices)
    assert TimeOrder(jitter).too_early(times[indices]) is None
    if (times[1:] >= np.maximum.accumulate(times)[:-1] - jitter).all():
        assert len(indices) == len(times)


def test_events_without_any_order_end_soon_and_the_same_for_any_chunks(monkeypatch):
    monkeypatch.setattr(sieve, "MOST_BACK", 20)
    monkeypatch.setattr(sieve, "BACK_SHARE", 10)
    times = np.random.default_rng(2).integers(0, 1 << 20, 3000).tolist()
    assert kept(times, 100, []) == kept(times, 100, [7, 500, 501, 2000])
    with pytest.raises(InputError, match="2982 of 3000 events are bad .*. Sort it by time"):
        skipping(events_at(times), (256, 256))


def test_glitches_are_told_from_the_rest_across_chunks(tmp_path, monkeypatch):
    path = tmp_path / "a.raw"
    rows = [(1000 + 50 * i, i % 128, i % 100, i % 2) for i in range(400)]
    path.write_bytes(naive.write_evt2([*rows[:200], (90_000_000, 1, 1, 1), *rows[200:]]))
    for block in (4, 64, 1 << 18):
        monkeypatch.setattr(base, "BLOCK_BYTES", block)
        events, report = skipping(path)
        assert naive.rows_of(events) == rows
        assert (report.ahead_events, report.late_events) == (1, 0)
        recording = open_recording(path, (128, 128), bad_events="skip")
        assert naive.rows_of(Events.concatenate(list(recording.read(from_event=150)))) == rows[150:]


@pytest.mark.parametrize("block", [2, 6, 1 << 18])
def test_padding_words_are_named_or_left_out_and_counted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    rows = [(5000, 1, 2, 1), (5001, 2, 2, 1), (5002, 4, 2, 0)]
    data = naive.write_evt3(rows)
    at = len(naive.HEADER_3)
    padded = data[:at] + b"".join(data[i : i + 2] + b"\x99\x99" * (i % 3) for i in range(at, len(data), 2))
    (tmp_path / "a.raw").write_bytes(padded)
    with pytest.raises(FileError, match=r"is of kind 0x9, which EVT 3.0 does not have. Leave .*--bad-events skip"):
        read(open_recording(tmp_path / "a.raw", (34, 34)))
    # Without a size in the file, all of it is looked at, whatever stands between.
    events, report = skipping(tmp_path / "a.raw", None)
    assert naive.rows_of(events) == rows
    count = (len(padded) - len(data)) // 2
    assert report.lines() == [f"{count} words of kind 0x9, which EVT 3.0 does not have, were left out"]


@pytest.mark.parametrize("name", ["nmnist.bin", "evt2.raw", "evt21.raw", "evt3.raw", "a.dat", "dvs128.aedat"])
def test_a_cut_last_word_costs_itself_only(tmp_path, name):
    rows = [(5000 + 10 * i, i, 2 * i, 1) for i in range(30)]
    WRITERS[name][0](tmp_path / name, rows)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:-1])
    recording = open_recording(tmp_path / name, (128, 128))
    assert naive.rows_of(read(recording)) == rows[:29]
    (line,) = recording.report.lines()
    assert line.endswith("bytes at the end are a part of an event and were left out: the file is cut")


@pytest.mark.parametrize(
    ("bits", "make"),
    [
        (32, lambda rows: formats.write_dat(rows, b"% Version 2\n")),
        (32, formats.write_aedat2_dvs128),
        (24, naive.write_evt3),
    ],
)
def test_counters_that_wrap_are_no_bad_events(tmp_path, bits, make):
    span = 1 << bits
    times = [span - 2000, span - 900, span + 100, span + 1200]
    (tmp_path / "a.x").write_bytes(make([(t % span, i, 2, 1) for i, t in enumerate(times)]))
    for policy in ("error", "skip"):
        recording = open_recording(tmp_path / "a.x", (128, 128), bad_events=policy)
        assert read(recording).t.tolist() == times
        assert recording.report.wraps == 1


def test_whoever_takes_frames_only_is_warned(tmp_path):
    WRITERS["evt2.raw"][0](tmp_path / "a.raw", [(5000, 1, 2, 1), (6000, 200, 5, 0), (7000, 3, 4, 1), (8000, 1, 1, 1)])
    (tmp_path / "a.raw").write_bytes((tmp_path / "a.raw").read_bytes()[:-1])
    with pytest.warns(LossWarning) as caught:
        frames = encode(open_recording(tmp_path / "a.raw", (128, 128), bad_events="skip"), coding="count")
    assert frames.sum() == 2
    assert [str(warning.message).split("': ")[1][:30] for warning in caught] == [
        "1 events outside the sensor we",
        "3 bytes at the end are a part ",
    ]


@pytest.mark.parametrize("block", [8, 24, 1 << 18])
@pytest.mark.parametrize("make", [lambda rows: formats.write_dat(rows, b"% Version 2\n"), formats.write_aedat2_dvs128])
def test_events_that_come_late_around_a_wrap_do_not_turn_the_counter_twice(tmp_path, monkeypatch, block, make):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    span = 1 << 32
    times = [span - 500, span + 20, span - 3, span + 40, span + 30, span - 2, span + 600]
    (tmp_path / "a.x").write_bytes(make([(t % span, i, 2, 1) for i, t in enumerate(times)]))
    recording = open_recording(tmp_path / "a.x", (128, 128))
    events = read(recording)
    assert naive.rows_of(events) == [(t, i, 2, 1) for t, i in sorted((t, i) for i, t in enumerate(times))]
    assert (recording.report.wraps, recording.report.sorted_events, recording.report.jumps) == (1, 3, 0)


def test_policies_and_who_has_which_by_default():
    rows = naive.events_of([(1, 2, 3, 1)])
    assert open_recording(rows).bad_events == "error"
    with open_recording("udp://127.0.0.1:0?size=8x8") as live:
        assert live.bad_events == "skip"
    with open_recording("udp://127.0.0.1:0?size=8x8", bad_events="error") as live:
        assert live.bad_events == "error"
    with pytest.raises(InputError, match="bad_events: 'drop' is unknown; known are error, skip"):
        open_recording(rows, bad_events="drop")


@pytest.mark.parametrize(("policy", "kept"), [(None, [1, 4]), ("skip", [1, 4]), ("error", [1])])
def test_a_live_source_leaves_bad_events_out_unless_told_otherwise(policy, kept):
    chunks = [
        naive.events_of(rows) for rows in ([(5000, 1, 1, 1), (5001, 9, 2, 1)], [(100, 3, 3, 1)], [(6000, 4, 4, 1)])
    ]
    recording = camera((8, 8), chunks, bad_events=policy)
    seen = []
    with pytest.raises(FileError, match=r"camera: event 1 lies at \(9, 2\)") if policy == "error" else nullcontext():
        seen.extend(recording)
    assert Events.concatenate(seen).x.tolist() == kept
    if policy != "error":
        assert (recording.report.outside_events, recording.report.late_events) == (1, 1)


def test_a_jitter_that_holds_too_many_events_is_said(monkeypatch):
    monkeypatch.setattr("nirbridge_events.readers.order.HELD_EVENTS", 8)
    monkeypatch.setattr("nirbridge_events.recording.CHUNK_EVENTS", 10)
    times = [*range(1000, 1100), 1050]
    with pytest.raises(InputError, match="event 100 .* goes back past 8 events, more than are held to sort"):
        read(open_recording(events_at(times), (256, 256)))
    monkeypatch.setattr(sieve, "LOOK_BACK", 4)
    assert skipping(events_at(times), (256, 256))[1].late_events == 1


@pytest.mark.parametrize(
    ("flags", "total", "said"),
    [
        (["--bad-events", "skip"], 1998, "2 events came too late and were left out."),
        (["--jitter", "99ms"], 2000, "2 events came out of order and were sorted."),
        ([], 0, "or sort them back with --jitter 99ms (jitter=99000)"),
    ],
)
def test_what_the_message_advises_can_be_typed(tmp_path, flags, total, said):
    times = CLOCKS["a glitch back"][0]
    (tmp_path / "a.csv").write_text("t,x,y,p\n" + "".join(f"{t},{i % 128},5,1\n" for i, t in enumerate(times)))
    arguments = [str(tmp_path / "a.csv"), "-o", str(tmp_path / "f.npy"), "--window", "10ms", "--coding", "count"]
    result = CliRunner().invoke(encode_module.command, [*arguments, *flags])
    assert said in (result.stderr if flags else str(result.exception))
    if flags:
        assert np.load(tmp_path / "f.npy").sum() == total
    else:
        assert isinstance(result.exception, NirbridgeError)
