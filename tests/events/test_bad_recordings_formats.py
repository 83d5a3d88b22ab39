"""Every format, cut anywhere, filled with random bytes or changed at random: read as far as it goes, then one line."""

import gc
from pathlib import Path

import h5py
import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording, write_nmnist
from nirbridge_events.readers.aedat2 import HEAD_RECORDS
from nirbridge_events.readers.base import BROKE_OFF, HEAD_BYTES
from tests.events import naive
from tests.events import naive_formats as formats
from tests.events.test_readers_formats import bytes_writer, write_hdf5
from tests.events.test_readers_tables import save_columns, save_structured

SENSOR = (128, 128)


# Name: writer, and whether a file may be read up to its cut (the others keep something needed at their end).
WRITERS = {
    "nmnist.bin": (lambda path, rows: write_nmnist(path, naive.events_of(rows)), True),
    "evt2.raw": (bytes_writer(naive.write_evt2), True),
    "evt21.raw": (bytes_writer(formats.write_evt21), True),
    "evt3.raw": (bytes_writer(naive.write_evt3), True),
    "a.dat": (bytes_writer(lambda rows: formats.write_dat(rows, b"% Version 2\n")), True),
    "dvs128.aedat": (bytes_writer(formats.write_aedat2_dvs128), True),
    "aedat3.aedat": (bytes_writer(lambda rows: formats.write_aedat3(rows).replace(b"DAVIS240C", b"DVS128")), True),
    "a.aedat4": (bytes_writer(lambda rows: formats.write_aedat4(rows, size=50)), True),
    "zstd.aedat4": (bytes_writer(lambda rows: formats.write_aedat4(rows, 3, size=70)), True),
    "plain.aedat4": (bytes_writer(lambda rows: formats.write_aedat4(rows, 0, table=False)), True),
    "a.hdf5": (lambda path, rows: write_hdf5(path, rows, geometry="128x128"), False),
    "a.csv": (bytes_writer(formats.write_csv), True),
    "a.npy": (save_structured, True),
    "a.npz": (save_columns, False),
}


@pytest.fixture(scope="module")
def rows():
    return naive.rows_of(naive.make_events(np.random.default_rng(5), 1500, SENSOR, span=60_000, start=4_000))


def read_until_error(path, bad_events="error"):
    """Events before the error, and the error or None; nothing else may be raised, and the error is one line."""
    chunks = []
    try:
        for chunk in open_recording(path, SENSOR, bad_events=bad_events):
            chunks.append(chunk)
    except (FileError, InputError) as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return Events.concatenate(chunks), error
    return Events.concatenate(chunks), None


@pytest.mark.parametrize("name", WRITERS)
def test_two_hundred_truncations(tmp_path, capfd, rows, name):
    write, streams = WRITERS[name]
    write(tmp_path / name, rows)
    data, (whole, error) = (tmp_path / name).read_bytes(), read_until_error(tmp_path / name)
    assert (len(whole), error) == (1500, None)
    rng = np.random.default_rng(6)
    (tmp_path / "cut").mkdir()
    read = 0
    for cut in sorted(rng.integers(0, len(data), 200).tolist()):
        path = tmp_path / "cut" / name
        path.write_bytes(data[:cut])
        events, error = read_until_error(path)
        assert len(events) or error
        # The last line of a text may lose digits and still be an event.
        sure = len(events) - (name == "a.csv")
        for field in "txyp":
            assert np.array_equal(getattr(events, field)[:sure], getattr(whole, field)[:sure])
        assert streams or error
        read += len(events) > 0
    assert read >= 150 * streams
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WRITERS)
def test_random_bytes_after_the_signature(tmp_path, capfd, rows, name):
    write, _ = WRITERS[name]
    write(tmp_path / name, rows)
    data = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(7)
    errors = 0
    for kept in (0, 4, 8, 16, 40, 80, 150, 200, 400, 800):
        for _ in range(6):
            noise = rng.integers(0, 256, int(rng.integers(0, 3000)), dtype=np.uint8).tobytes()
            (tmp_path / name).write_bytes(data[:kept] + noise)
            _, error = read_until_error(tmp_path / name)
            errors += error is not None
    assert errors >= 40
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WRITERS)
def test_changed_bytes(tmp_path, capfd, rows, name):
    write, _ = WRITERS[name]
    write(tmp_path / name, rows)
    data = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(8)
    errors = 0
    for trial in range(100):
        changed = bytearray(data)
        limit = len(data) if trial % 2 else min(len(data), 600)
        for place in rng.integers(0, limit, 4):
            changed[place] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(changed)
        events, error = read_until_error(tmp_path / name, "skip" if trial % 3 else "error")
        assert (np.diff(events.t) >= 0).all()
        assert not (events.x >= SENSOR[0]).any()
        errors += error is not None
    assert errors >= 5
    assert capfd.readouterr() == ("", "")


# The addresses of a DVS128 end at 127; N-MNIST has a test of its own.
@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("nmnist.bin", "dvs128.aedat")])
def test_events_outside_are_named(tmp_path, name):
    write, _ = WRITERS[name]
    write(tmp_path / name, [(5000, 1, 2, 1), (6000, 127, 127, 0), (7000, 128, 5, 1), (8000, 1, 1, 1)])
    events, error = read_until_error(tmp_path / name)
    assert naive.rows_of(events) == [(5000, 1, 2, 1), (6000, 127, 127, 0)]
    assert "event 2 lies at (128, 5), outside the sensor of 128x128 pixels" in str(error)


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "nmnist.bin"])
def test_times_that_go_back_are_named(tmp_path, name):
    write, _ = WRITERS[name]
    write(tmp_path / name, [(5000, 1, 2, 1), (9000, 3, 4, 0), (7999, 5, 6, 1), (9001, 1, 1, 1)])
    events, error = read_until_error(tmp_path / name)
    assert naive.rows_of(events) == [(5000, 1, 2, 1), (9000, 3, 4, 0)]
    assert "event 2 has time 7999 µs after 9000 µs; times must not go back by more than 1000 µs" in str(error)


GOOD = [(5000, 1, 2, 1), (6000, 127, 127, 0)]
BAD = (7000, 3, -1, 1)
AFTER = (8000, 1, 1, 1)
SIGNED = [(name, "i8") for name in "txyp"]
# Name: what is written, and what is wrong with its third event.
DAMAGED = {
    "row.csv": (lambda path: path.write_bytes(formats.write_csv([*GOOD, BAD, AFTER])), "line 4 has y = -1"),
    "line.csv": (
        lambda path: path.write_bytes(formats.write_csv([*GOOD, (7000, 3, "no", 1), (7500, 3, -1, 1), AFTER])),
        "line 4 is no event: '7000,3,no,1', where y is no number",
    ),
    "a.npy": (lambda path: np.save(path, np.array([*GOOD, BAD, AFTER], SIGNED)), "event 2 has y = -1"),
    "later.npy": (
        lambda path: np.save(path, np.array([*GOOD, BAD, (7000, 70_000, 1, 1)], SIGNED)),
        "event 2 has y = -1",
    ),
    "a.npz": (lambda path: save_columns(path, [*GOOD, (7000, 1, 70_000, 1), BAD]), "event 2 has y = 70000"),
    "a.hdf5": (lambda path: save_signed(path, [*GOOD, BAD, AFTER]), "event 2 has y = -1"),
    "a.aedat": (
        lambda path: path.write_bytes(
            formats.HEADER_AEDAT3.replace(b"DAVIS240C", b"DVS128")
            + formats.aedat3_packet(GOOD)
            + formats.aedat3_packet([AFTER], overflow=-1)
        ),
        "the packet at offset",
    ),
}


def save_signed(path, rows):
    t, x, y, p = np.array(rows).T
    with h5py.File(path, "w") as file:
        for name, values in zip("txyp", (t, x, y, p), strict=True):
            file[f"events/{name}"] = values


@pytest.mark.parametrize("name", DAMAGED)
def test_what_comes_before_a_damaged_place_is_read(tmp_path, name):
    write, expected = DAMAGED[name]
    write(tmp_path / name)
    events, error = read_until_error(tmp_path / name)
    assert naive.rows_of(events) == GOOD
    assert expected in str(error)


@pytest.mark.parametrize("version", ["2.0", "3.1"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_file_that_is_all_header_and_as_long_as_what_is_read_at_once(tmp_path, version, whole):
    lines = f"#!AER-DAT{version}\r\n# AEChip: DVS128\r\n#".encode()
    (tmp_path / "a.aedat").write_bytes(lines.ljust(HEAD_BYTES - 1, b"a") + (b"\n" if whole else b"a"))
    events, error = read_until_error(tmp_path / "a.aedat")
    assert len(events) == 0
    inside = "ends inside its header, in the line at offset 32"
    expected = inside if not whole else "holds no event" if version == "2.0" else "without the line '#!END-HEADER'"
    assert expected in str(error)


@pytest.mark.parametrize("name", ["evt3.raw", "a.aedat4", "a.csv", "a.npy", "a.npz", "a.hdf5"])
def test_a_file_is_closed_when_a_bad_event_ends_the_reading(tmp_path, name):
    write, _ = WRITERS[name]
    write(tmp_path / name, [*GOOD, (1000, 1, 1, 1), AFTER])
    gc.disable()
    try:
        _, error = read_until_error(tmp_path / name)
        held = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    finally:
        gc.enable()
    assert "event 2 has time 1000 µs after 6000 µs" in str(error)
    assert tmp_path / name not in held


def test_what_comes_before_an_address_of_another_chip_is_read(tmp_path):
    rows = [(t, t % 100, 5, 1) for t in range(5000, 5005 + HEAD_RECORDS)]
    data = formats.write_aedat2_dvs128([*rows, AFTER])
    strange = (1 << 20).to_bytes(4, "big") + data[-4:]
    (tmp_path / "a.aedat").write_bytes(data[:-8] + strange + data[-8:])
    events, error = read_until_error(tmp_path / "a.aedat")
    assert naive.rows_of(events) == rows
    assert "the address 0x00100000 has bits that a DVS128 never sets" in str(error)


@pytest.mark.parametrize(
    "suffix", [".bin", ".es", ".raw", ".dat", ".aedat", ".aedat4", ".hdf5", ".csv", ".npy", ".npz"]
)
def test_zero_length_and_wrong_names(tmp_path, rows, suffix):
    path = tmp_path / f"renamed{suffix}"
    path.write_bytes(b"")
    assert "is empty (0 bytes)" in str(read_until_error(path)[1])
    for name, (write, _) in WRITERS.items():
        if name != "nmnist.bin" and not (name == "a.csv" and suffix == ".bin"):
            write(tmp_path / name, rows)
            (tmp_path / name).replace(path)
            events, error = read_until_error(path)
            assert (len(events), error) == (1500, None), name


def test_camera_packets_that_claim_too_much_take_no_memory(tmp_path):
    packet = formats.HEADER_AEDAT3 + np.array([1 | 1 << 16, 8, 4, 0, 2**31 - 1, 2**31 - 1, 0], "<i4").tobytes()
    (tmp_path / "a.aedat").write_bytes(packet + np.array([1 << 17 | 1, 5], "<u4").tobytes())
    recording = open_recording(tmp_path / "a.aedat")
    assert naive.rows_of(Events.concatenate(list(recording))) == [(5, 1, 0, 0)]
    assert recording.report.lost == {BROKE_OFF: 8 * (2**31 - 2)}
    for claim, found in [
        ([1, 7, 4, 0, 1, 1, 0], "polarity events of 7 bytes"),
        ([1, 8, 4, 0, 1, 2, 0], "2 of 1 events"),
    ]:
        (tmp_path / "a.aedat").write_bytes(formats.HEADER_AEDAT3 + np.array(claim, "<i4").tobytes())
        with pytest.raises(FileError, match=found):
            list(open_recording(tmp_path / "a.aedat"))
