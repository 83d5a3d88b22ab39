"""Words put together bit by bit from the public descriptions of EVT 2.1 and AEDAT 2.0.

Of EVT 2.1 there is no other decoder in Python to compare with: faery 0.7 and expelliarmus do not have it.
"""

from nirbridge_events import Events, open_recording
from tests.events import naive


def bits(text):
    """A number from its binary digits, highest first; blanks part its fields."""
    return int(text.replace(" ", ""), 2)


def read(path, data):
    path.write_bytes(data)
    recording = open_recording(path)
    return recording, naive.rows_of(Events.concatenate(list(recording)))


# Prophesee: type 63–60, time 59–54, x 53–43, y 42–32, valid 31–0; time high: type 63–60, bits 33–6 of the time 59–32.
EVT21 = [
    bits("1000" "0000000000000000000000000101" "00000000000000000000000000000000"),  # time = 5·64
    bits("0001" "000011" "00001000000" "00000000111" "10000000000000000000000000000101"),  # ON, 3, x 64, y 7
    bits("1010" "000100" "000000000" "00001" "0000000" "1" "00000000000000000000000000000000"),  # a trigger
    bits("0000" "111111" "10011100000" "01011001111" "00000000000000000000000000000010"),  # OFF, 63, x 1248, y 719
    bits("1110" "000000" "00000" "0" "0000000000010100" "00000000000000000000000000000111"),  # others
    bits("1000" "0000000000000000000000000110" "00000000000000000000000000000000"),  # time = 6·64
    bits("0000" "000000" "00000000000" "00000000000" "00000000000000000000000000000001"),  # OFF, 0, x 0, y 0
]  # fmt: skip
EVT21_ROWS = [(323, 64, 7, 1), (323, 66, 7, 1), (323, 95, 7, 1), (383, 1249, 719, 0), (384, 0, 0, 0)]
HEADER_21 = b"% evt 2.1\n% geometry 1280x720\n% end\n"


def test_evt21_words_as_prophesee_describes_them(tmp_path):
    little = b"".join(word.to_bytes(8, "little") for word in EVT21)
    recording, rows = read(tmp_path / "a.raw", HEADER_21 + little)
    assert rows == EVT21_ROWS
    assert recording.report.skipped == {"trigger words": 1, "vendor words": 1}


def test_evt21_in_the_order_of_an_imx636(tmp_path):
    # Prophesee: 0x0102030405060708 is sent as 04 03 02 01 08 07 06 05 by an IMX636.
    def sent(word):
        high, low = divmod(word, 1 << 32)
        return high.to_bytes(4, "little") + low.to_bytes(4, "little")

    assert sent(0x0102030405060708) == bytes([4, 3, 2, 1, 8, 7, 6, 5])
    header = b"% format EVT21;endianness=legacy;height=720;width=1280\n% end\n"
    assert read(tmp_path / "a.raw", header + b"".join(map(sent, EVT21)))[1] == EVT21_ROWS
    recording, rows = read(tmp_path / "b.raw", HEADER_21 + b"".join(map(sent, EVT21)))
    assert rows == EVT21_ROWS
    assert "legacy order" in recording.notes()[0]


HEADER_2 = b"#!AER-DAT2.0\r\n# AEChip: %s\r\n"
DVS128, DAVIS240 = b"ch.unizh.ini.jaer.chip.retina.DVS128", b"eu.seebetter.ini.chips.davis.DAVIS240C"


def records(*words):
    """Big-endian pairs of an address and a time."""
    return b"".join(address.to_bytes(4, "big") + time.to_bytes(4, "big") for address, time in words)


def test_dvs128_addresses_as_jaer_extracts_them(tmp_path):
    # jAER: x = 127 - bits 7–1, y = bits 14–8 from the bottom, ON where bit 0 is 0; bits 15 and 31 mark no event.
    data = records(
        (bits("0000000000000000" "0" "0000101" "0000011" "0"), 10),
        (bits("0000000000000000" "0" "1111111" "1111111" "1"), 11),
        (bits("0000000000000000" "1" "0000101" "0000011" "0"), 12),
        (bits("1000000000000000" "0" "0000101" "0000011" "0"), 13),
        (bits("0000000000000000" "0" "0000000" "0000000" "1"), 14),
    )  # fmt: skip
    recording, rows = read(tmp_path / "a.aedat", HEADER_2 % DVS128 + data)
    assert rows == [(10, 124, 127 - 5, 1), (11, 0, 0, 0), (14, 127, 127, 0)]
    assert recording.report.skipped == {"external event words": 2}


def test_davis240_addresses_as_jaer_extracts_them(tmp_path):
    # jAER: y = bits 30–22 from the bottom, x = 239 - bits 21–12, ON where bit 11 is 1; bits 31 and 10 mark no event.
    data = records(
        (bits("0" "000000101" "0000000011" "1" "0" "0000000000"), 10),
        (bits("0" "010110011" "0011101111" "0" "0" "0000000000"), 11),
        (bits("0" "000000101" "0000000011" "0" "1" "0000000000"), 12),
        (bits("1" "000000101" "0000000011" "0" "0" "0001100100"), 13),
        (bits("1" "000000000" "0000000000" "1" "1" "0000000000"), 14),
    )  # fmt: skip
    recording, rows = read(tmp_path / "a.aedat", HEADER_2 % DAVIS240 + data)
    assert rows == [(10, 239 - 3, 179 - 5, 1), (11, 239 - 239, 179 - 179, 0)]
    assert recording.report.skipped == {"external event words": 1, "frame or IMU words": 2}
