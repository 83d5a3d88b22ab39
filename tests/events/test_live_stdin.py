"""Recordings through a pipe: structured records, CSV, and every format that is read from front to back."""

import os
import subprocess
import sys
import threading
import time
from itertools import islice

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, FrameEncoder, PolarityFilter, Recording, Stream, open_recording, write_es
from nirbridge_events.live.datagrams import BAD_POLARITY
from nirbridge_events.live.stdin import RECORD, open_stdin
from nirbridge_events.readers.base import CUT
from nirbridge_events.readers.wanted import Wanted
from tests.events import naive
from tests.events import naive_formats as formats
from tests.events.test_streaming import SumProgram

SENSOR = (128, 128)


@pytest.fixture(scope="module")
def events():
    return naive.make_events(np.random.default_rng(0), 4000, SENSOR, span=200_000, start=5000)


class Pipe:
    """A thread writes ``data`` in pieces; ``end`` says whether it then ends the pipe."""

    def __init__(self, data, end=True, size=1000, pause=0.0):
        self.reading, self._writing = os.pipe()
        self._thread = threading.Thread(target=self._write, args=(data, end, size, pause))

    def __enter__(self):
        self._thread.start()
        return self.reading

    def __exit__(self, *_error):
        os.close(self.reading)
        self._thread.join()
        if self._writing is not None:
            os.close(self._writing)

    def _write(self, data, end, size, pause):
        try:
            for start in range(0, len(data), size):
                os.write(self._writing, data[start : start + size])
                time.sleep(pause)
        except BrokenPipeError:
            pass
        if end:
            os.close(self._writing)
            self._writing = None


def structured(events):
    records = np.zeros(len(events), dtype=RECORD)
    for name in "txyp":
        records[name] = getattr(events, name)
    return records.tobytes()


def es_bytes(events, tmp_path):
    write_es(tmp_path / "a.es", events, SENSOR)
    return (tmp_path / "a.es").read_bytes()


DATA = {
    "structured": lambda events, rows, folder: ("-?format=structured", structured(events)),
    "csv": lambda events, rows, folder: ("-", formats.write_csv(rows, "xypt", ";")),
    "es": lambda events, rows, folder: ("-", es_bytes(events, folder)),
    "evt2": lambda events, rows, folder: ("-", naive.write_evt2(rows)),
    "evt3": lambda events, rows, folder: ("-", naive.write_evt3(rows)),
    "dat": lambda events, rows, folder: ("-", formats.write_dat(rows, b"% Version 2\n")),
    "aedat2": lambda events, rows, folder: ("-", formats.write_aedat2_dvs128(rows)),
    "aedat3": lambda events, rows, folder: ("-", formats.write_aedat3(rows).replace(b"DAVIS240C", b"DVS128")),
    "nmnist": lambda events, rows, folder: (
        "-?format=nmnist",
        b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, p in rows),
    ),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("size", [17, 60_000])
def test_what_was_piped_is_read(tmp_path, events, name, size):
    rows = naive.rows_of(events)
    source, data = DATA[name](events, rows, tmp_path)
    with Pipe(data, size=size) as descriptor:
        recording = Recording(open_stdin(source, Wanted(SENSOR), descriptor), 1000)
        assert recording.source.format == name
        assert naive.rows_of(Events.concatenate(list(recording))) == rows
        assert recording.current.feed.position == len(data)
        with pytest.raises(InputError, match="is read once"):
            next(iter(recording))


def test_faerys_records_are_the_structured_ones(events):
    faery = pytest.importorskip("faery")
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    assert array.tobytes() == structured(events)


def test_lines_are_read_as_they_come():
    rows = [(1000 * i, i, i, 1) for i in range(20)]
    text = formats.write_csv(rows)
    with Pipe(text, end=False, size=12, pause=0.005) as descriptor:
        recording = Recording(open_stdin("-?size=34x34", descriptor=descriptor), 0)
        got = []
        for chunk in recording:
            got += naive.rows_of(chunk)
            if len(got) == 20:
                break
    assert got == rows


def test_a_pipe_that_stalls_is_ended_from_another_thread(events):
    with Pipe(structured(events), end=False) as descriptor:
        recording = Recording(open_stdin("-?format=structured", Wanted(SENSOR), descriptor), 1000)
        timer = threading.Timer(0.3, recording.close)
        timer.start()
        begin = time.monotonic()
        assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
        assert time.monotonic() - begin < 60
        timer.join()


@pytest.mark.parametrize(
    ("source", "size", "data", "found"),
    [
        ("-", SENSOR, b"", "stdin: is empty (0 bytes)"),
        ("-", SENSOR, bytes(range(200, 256)) * 3, "which no reader knows"),
        ("-", SENSOR, b"\x93NUMPY\x01\x00" + bytes(100), "is npy, which is not read from a pipe. Give the file's path"),
        (
            "-",
            None,
            b"t,x,y,p\n1,2,3,1\n2,3,4,1\n",
            "does not say its sensor size. Give it, for instance as 'stdin:?size=640x480'",
        ),
        ("-?format=hdf5", SENSOR, b"", "format 'hdf5' is not read from a pipe"),
        ("-?what=1", SENSOR, b"", "has no option 'what'"),
        ("-?idle=2", SENSOR, b"", "has no option 'idle'. Options are format, size"),
        ("-?size=64x64", SENSOR, b"", "says a sensor of (64, 64) pixels, (128, 128) was given"),
        (
            "-",
            (64, 64),
            formats.write_aedat2_dvs128([(1, 1, 1, 1)]),
            "is of a sensor of 128x128 pixels, 64x64 was given",
        ),
    ],
)
def test_pipes_that_are_refused(source, size, data, found):
    with Pipe(data) as descriptor, pytest.raises((InputError, FileError)) as error:
        open_stdin(source, Wanted(size), descriptor)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pipe_that_breaks_off_keeps_what_was_whole(events):
    data = structured(events)
    with Pipe(data[: 13 * 3000 + 5]) as descriptor:
        reading = Recording(open_stdin("-?format=structured", Wanted(SENSOR), descriptor), 1000)
        chunks = list(reading)
    assert naive.rows_of(Events.concatenate(chunks)) == naive.rows_of(events)[:3000]
    assert reading.report.lost == {CUT: 5}


def test_random_bytes_end_in_one_line_or_in_counts():
    rng = np.random.default_rng(1)
    errors = 0
    for trial in range(40):
        source = ["-", "-?format=structured", "-?format=csv", "-?format=evt3"][trial % 4]
        data = rng.integers(0, 256, int(rng.integers(1, 3000)), dtype=np.uint8).tobytes()
        with Pipe(data) as descriptor:
            try:
                recording = Recording(open_stdin(source, Wanted(SENSOR), descriptor), 1000)
                list(recording)
                report = recording.report
                counts = (*report.skipped.values(), *report.lost.values())
                assert report.outside_events + report.late_events + sum(counts) > 0
            except (FileError, InputError) as error:
                assert "\n" not in str(error)
                errors += 1
    assert errors >= 20


def test_the_standard_input_of_a_process(events):
    code = (
        "import sys; from nirbridge_events import open_recording\n"
        "print(sum(len(chunk) for chunk in open_recording(sys.argv[1], (128, 128))))"
    )
    for source, data in [
        ("-", naive.write_evt3(naive.rows_of(events))),
        ("stdin:?format=structured", structured(events)),
    ]:
        command = [sys.executable, "-c", code, source]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True)
        assert done.stdout.split() == [b"4000"]


def test_what_filters_take_out_of_a_pipe_is_no_silence():
    """Else windows end by the wall while a slow model makes the pipe wait, more of them each time, and none is left."""
    t = np.arange(0, 120_000, 2)
    on = (t < 20_000) | (t >= 100_000)
    places = np.ones(len(t), np.uint16)
    with Pipe(structured(Events(places, places, t, on.astype(np.uint8))), size=6500) as reading:
        source = open_stdin("-?format=structured&size=34x34", descriptor=reading)
        encoder = FrameEncoder((34, 34), 10_000, "count", late="count", gap="count")
        with Stream(
            Recording(source, filters=[PolarityFilter("on")]),
            SumProgram(lambda step: time.sleep(0.4)),
            encoder,
            policy="block",
            grace=0,
            queue_size=1,
            warm_up=False,
        ) as stream:
            found = [decision.events for decision in islice(stream, 12)]
    assert found == [5000] * 2 + [0] * 8 + [5000] * 2
    assert stream.summary.late == 0


def test_records_of_another_polarity_are_no_events(tmp_path):
    """A polarity of -1 in 8 bits is 255, and was ON."""
    records = np.zeros(3, dtype=RECORD)
    records["t"], records["p"] = [5, 6, 7], [1, 255, 0]
    with Pipe(records.tobytes()) as descriptor:
        recording = Recording(open_stdin("-?format=structured", Wanted(SENSOR), descriptor))
        assert [row for chunk in recording for row in naive.rows_of(chunk)] == [(5, 0, 0, 1), (7, 0, 0, 0)]
    assert recording.report.lost == {BAD_POLARITY: 1}
    (tmp_path / "rec").write_bytes(records.tobytes())
    with (tmp_path / "rec").open() as file:
        chunks = iter(Recording(open_stdin("-?format=structured", Wanted(SENSOR), file.fileno())))
        assert naive.rows_of(next(chunks)) == [(5, 0, 0, 1)]
        with pytest.raises(FileError, match="offset 13 has polarity 255, not 0 or 1"):
            next(chunks)


def test_lines_that_are_no_event_cost_a_live_source_only_themselves(tmp_path):
    text = b"t,x,y,p\n1,1,1,1\n2,2,2,1\nhello\n3,3\n4,4,4,0\n5,five,5,1\n6,6,6,1\n7,7,7,0\n"
    kept = [(1, 1, 1, 1), (2, 2, 2, 1), (4, 4, 4, 0), (6, 6, 6, 1), (7, 7, 7, 0)]
    with Pipe(text, size=11) as descriptor:
        recording = Recording(open_stdin("-", Wanted(SENSOR), descriptor), 0)
        assert [row for chunk in recording for row in naive.rows_of(chunk)] == kept
    assert recording.report.lost == {"lines that are no event": 3}
    (tmp_path / "rec.csv").write_bytes(text)
    with pytest.raises(FileError, match="line 4 has 1 columns"):
        list(open_recording(tmp_path / "rec.csv", SENSOR))
    skipping = open_recording(tmp_path / "rec.csv", SENSOR, bad_events="skip")
    assert [row for chunk in skipping for row in naive.rows_of(chunk)] == kept
    assert skipping.report.lost == {"lines that are no event": 3}
    (tmp_path / "none.csv").write_bytes(b"t,x,y,p\n1,1,1,1\n" + b"hello\n" * 9)
    with pytest.raises(FileError, match="line 3 has 1 columns"):
        open_recording(tmp_path / "none.csv", SENSOR)
