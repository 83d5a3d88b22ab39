"""Several cameras in one file are never merged; the layouts of AEDAT 2.0 are those that its writers publish."""

import json
import struct

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from nirbridge.cli.info import command as info
from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording
from tests.events import naive
from tests.events import naive_formats as formats

LEFT = [(t, 3, 4, 1) for t in range(0, 2000, 20)]
RIGHT = [(t, 60, 70, 0) for t in range(0, 2000, 20)]


def rows_of(recording):
    return naive.rows_of(Events.concatenate(list(recording)))


def aedat3(names=(b"DVS128", b"DAVIS240C")):
    """Packets of 10 events of source 1 and 2 in turn; the header lists as many sources as there are names."""
    sources = b"".join(b"#Source %d: %s\r\n" % (number, name) for number, name in enumerate(names, 1))
    data = b"#!AER-DAT3.1\r\n#Format: RAW\r\n" + sources + b"#!END-HEADER\r\n"
    for start in range(0, len(LEFT), 10):
        data += formats.aedat3_packet(LEFT[start : start + 10])
        right = bytearray(formats.aedat3_packet(RIGHT[start : start + 10]))
        right[2] = 2
        data += right
    return data


def aedat2(chip, words):
    head = b"#!AER-DAT2.0\r\n" + (b"# AEChip: " + chip + b"\r\n" if chip else b"# AEDat2Output in v2e\r\n")
    return head + b"".join(struct.pack(">II", *word) for word in words)


def davis346(rows, camera=0):
    return [((345 - x) << 12 | (259 - y) << 22 | p << 11 | camera, t) for t, x, y, p in rows]


def two_davis():
    words = davis346(LEFT, 2) + davis346(RIGHT, 5)
    return aedat2(b"eu.seebetter.ini.chips.davis.Davis346blue", sorted(words, key=lambda word: word[1]))


def aedat4():
    node = (
        '<node name="{0}"><attr key="typeIdentifier">EVTS</attr><node name="info"><attr key="source">DVX_{1}</attr>'
        '<attr key="sizeX">128</attr><attr key="sizeY">128</attr></node></node>'
    )
    nodes = node.format(0, "L") + node.format(1, "R")
    text = f'<dv><node name="outInfo">{nodes}</node></dv>'.encode()
    packets = (formats.aedat4_packet(i, formats.aedat4_events(rows)) for i, rows in enumerate((LEFT, RIGHT)))
    return formats.aedat4_header(text=text) + b"".join(packets)


def hdf5(path):
    with h5py.File(path, "w") as file:
        for name, rows in (("left", LEFT), ("right", RIGHT)):
            t, x, y, p = np.array(rows).T
            file[f"davis/{name}/events"] = np.stack([x, y, 1504645177.42 + t / 1e6, 2 * p - 1], 1)


FILES = {
    "sources": (aedat3, "1 (DVS128), 2 (DAVIS240C)", (1, "2"), ("dvs128", "DAVIS240C"), {"packets": 10}),
    "sources without names": (lambda: aedat3(()), "1, 2", (1, 2), (1, 2), {"packets": 10}),
    "low bits": (two_davis, "2, 5", (2, 5), ("2", "5"), {"events": 100}),
    "streams": (aedat4, "0 (DVX_L), 1 (DVX_R)", (0, 1), ("l", "dvx_r"), {"packets": 1}),
    "groups": (None, "0 (davis/left), 1 (davis/right)", (0, 1), ("left", "davis/right"), {}),
}


@pytest.mark.parametrize("names", [("camera_1", "camera_2"), ("1", "2"), ("a/1", "a/1b")])
def test_a_number_that_is_in_another_name_too_is_refused(tmp_path, names):
    """Cameras whose names count from 1: "1" was the second one, and so was "2"."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, rows in zip(names, (LEFT, RIGHT), strict=True):
            for column, values in zip("txyp", np.array(rows).T, strict=True):
                file[f"{name}/events/{column}"] = values
    with pytest.raises(InputError, match=r"camera '1' is the number of one .* Give number:1 or number:0\.$"):
        open_recording(path, camera="1")
    for camera in (0, "0", "number:0"):
        assert rows_of(open_recording(path, camera=camera)) == LEFT
    for camera in (1, "number:1", "2" if names[1].endswith("2") else names[1]):
        assert rows_of(open_recording(path, camera=camera)) == RIGHT
    assert [each["events"] for each in json.loads(CliRunner().invoke(info, [str(path), "--json"]).stdout)] == [100, 100]


@pytest.mark.parametrize("name", FILES)
def test_one_camera_is_read_or_all_are_listed(tmp_path, name):
    make, listed, numbers, names, lost = FILES[name]
    path = tmp_path / "a"
    hdf5(path) if make is None else path.write_bytes(make())
    with pytest.raises(InputError) as error:
        list(open_recording(path, (346, 260) if "without" in name else None))
    assert f"holds events of 2 cameras: {listed}. Choose one with --camera" in str(error.value)
    for number, called, rows in zip(numbers, names, (LEFT, RIGHT), strict=True):
        for camera in (number, called):
            recording = open_recording(path, camera=camera)
            found = rows_of(recording)
            assert [(t - found[0][0], *more) for t, *more in found] == rows
            assert recording.report.lost == {f"{kind} of other cameras were left out": n for kind, n in lost.items()}
    with pytest.raises(InputError, match="camera 'centre' fits none of its cameras|holds events of"):
        open_recording(path, camera="centre")


# Chip → its size and the word of (x, y, p), from the publications of its layout.
def dvs128(x, y, p):
    return (127 - x) << 1 | (127 - y) << 8 | (1 - p)


def davis(width, height):
    return lambda x, y, p: (width - 1 - x) << 12 | (height - 1 - y) << 22 | p << 11


def dvs640(x, y, p):
    return (639 - x) << 1 | (479 - y) << 11 | p


CHIPS = {
    b"ch.unizh.ini.jaer.chip.retina.DVS128": ((128, 128), dvs128),
    b"ch.unizh.ini.jaer.chip.retina.Tmpdiff128": ((128, 128), dvs128),
    b"ch.unizh.ini.jaer.chip.retina.DVS640": ((640, 480), dvs640),
    b"eu.seebetter.ini.chips.davis.Davis128": ((128, 128), davis(128, 128)),
    b"eu.seebetter.ini.chips.davis.DAVIS240C": ((240, 180), davis(240, 180)),
    b"eu.seebetter.ini.chips.davis.Davis346redColor": ((346, 260), davis(346, 260)),
    b"ch.unizh.ini.jaer.chip.multicamera.MultiDAVIS346BCameraChip": ((346, 260), davis(346, 260)),
    b"eu.seebetter.ini.chips.davis.Davis640": ((640, 480), davis(640, 480)),
}


def words_of(size, word):
    rows = naive.rows_of(naive.make_events(np.random.default_rng(4), 200, size))
    return rows, [(word(x, y, p), t) for t, x, y, p in rows]


@pytest.mark.parametrize("chip", CHIPS)
def test_chips_of_aedat2(tmp_path, chip):
    size, word = CHIPS[chip]
    rows, words = words_of(size, word)
    (tmp_path / "a.aedat").write_bytes(aedat2(chip, words))
    recording = open_recording(tmp_path / "a.aedat")
    assert rows_of(recording) == rows
    source = recording.source
    assert (source.sensor_size, source.size_origin) == (size, "file")


@pytest.mark.parametrize(
    "chip", [b"davis.Davis208PixelParade", b"davis.DavisRGBW640", b"SecDvs640Gen2", b"DVS128StereoPair", b"DAVI346"]
)
def test_chips_without_one_published_layout_are_refused(tmp_path, chip):
    (tmp_path / "a.aedat").write_bytes(aedat2(chip, davis346(LEFT)))
    for size in (None, (346, 260), (640, 480)):
        with pytest.raises(FileError, match="names the camera '.*', whose layout is not known"):
            open_recording(tmp_path / "a.aedat", size)


def test_files_of_v2e_name_no_chip(tmp_path):
    rows, words = words_of((640, 480), dvs640)
    (tmp_path / "a.aedat").write_bytes(aedat2(b"", words))
    recording = open_recording(tmp_path / "a.aedat", (640, 480))
    assert rows_of(recording) == rows
    assert "read as of DVS640" in recording.notes()[0]
    (tmp_path / "b.aedat").write_bytes(aedat2(b"", words).replace(b"AEDat2Output", b"someone"))
    with pytest.raises(FileError, match="no one AEDAT 2.0 address layout is known for 640x480"):
        open_recording(tmp_path / "b.aedat", (640, 480))


@pytest.mark.parametrize(("size", "word"), [((346, 260), dvs128), ((128, 128), davis(128, 128))])
def test_addresses_of_another_chip_are_noticed(tmp_path, size, word):
    (tmp_path / "a.aedat").write_bytes(aedat2(b"", words_of((128, 128), word)[1]))
    with pytest.raises(FileError, match="has bits that a .* never sets"):
        list(open_recording(tmp_path / "a.aedat", size))
