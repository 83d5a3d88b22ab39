"""Writers of the formats of which no sample is at hand: event by event, from the descriptions of the formats."""

import struct

import lz4.frame
import zstandard

HEADER_21 = b"% evt 2.1\n"
HEADER_DAT = b"% Data file containing CD events\n% Version 2\n% Width 320\n% Height 240\n"
HEADER_AEDAT2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
HEADER_AEDAT3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DAVIS240C\r\n#Start-Time: 2016-01-01\r\n#!END-HEADER\r\n"


def evt21_words(rows):
    """64-bit words: a time word where bits 6 and up change, then one vector for events of equal time, row, block."""
    words, high, vectors = [], None, {}
    for t, x, y, p in rows:
        vectors.setdefault((t, y, p, x // 32 * 32), []).append(x % 32)
    for (t, y, p, base), bits in vectors.items():
        if t >> 6 != high:
            high = t >> 6
            words.append(0x8 << 60 | (high & 0xFFFFFFF) << 32)
        mask = 0
        for bit in bits:
            mask |= 1 << bit
        words.append(p << 60 | (t & 63) << 54 | base << 43 | y << 32 | mask)
    return words


def write_evt21(rows, header=HEADER_21, legacy=False):
    """EVT 2.1; in legacy order the high half of each word comes first."""
    if legacy:
        return header + b"".join(struct.pack("<II", word >> 32, word & 0xFFFFFFFF) for word in evt21_words(rows))
    return header + b"".join(struct.pack("<Q", word) for word in evt21_words(rows))


def write_dat(rows, header=HEADER_DAT, version=2):
    """DAT of version 2 (14 bits x, 14 bits y) or 1 (9 and 8 bits)."""
    x_bits, y_bits = (14, 14) if version == 2 else (9, 8)
    records = (struct.pack("<II", t & 0xFFFFFFFF, p << x_bits + y_bits | y << x_bits | x) for t, x, y, p in rows)
    return header + b"\x0c\x08" + b"".join(records)


def write_aedat2_dvs128(rows, chip=b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"):
    """AEDAT 2.0 of a DVS128: x from the right, y from the bottom, 0 is ON."""
    body = (struct.pack(">II", (127 - y) << 8 | (127 - x) << 1 | 1 - p, t & 0xFFFFFFFF) for t, x, y, p in rows)
    return HEADER_AEDAT2 + chip + b"".join(body)


def write_aedat2_davis240(rows, chip=b"# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"):
    """AEDAT 2.0 of a DAVIS240: x from the right, y from the bottom, 1 is ON."""
    body = (struct.pack(">II", (179 - y) << 22 | (239 - x) << 12 | p << 11, t & 0xFFFFFFFF) for t, x, y, p in rows)
    return HEADER_AEDAT2 + chip + b"".join(body)


def aedat3_packet(rows, overflow=0, kind=1, valid=None):
    """One packet of polarity events; ``valid`` says which are."""
    valid = [1] * len(rows) if valid is None else valid
    header = struct.pack("<hhiiiiii", kind, 1, 8, 4, overflow, len(rows), len(rows), sum(valid))
    body = (
        struct.pack("<II", x << 17 | y << 2 | p << 1 | ok, t & 0x7FFFFFFF)
        for (t, x, y, p), ok in zip(rows, valid, strict=True)
    )
    return header + b"".join(body)


def write_aedat3(rows, size=97):
    """AEDAT 3.1 in packets of ``size`` events, each preceded by a packet of special events."""
    data = HEADER_AEDAT3
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        data += aedat3_packet([(part[0][0], 0, 0, 0)], kind=0) + aedat3_packet(part)
    return data


AEDAT4_COMPRESSORS = (
    lambda data: data,
    lambda data: lz4.frame.compress(data, content_checksum=True),
    lambda data: lz4.frame.compress(data, 9, store_size=False),
    lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    lambda data: zstandard.ZstdCompressor(12, write_content_size=False).compress(data),
)
STREAM = """<node name="{}"><attr key="compression" type="string">LZ4</attr>
<attr key="typeIdentifier" type="string">{}</attr><node name="info"><attr key="sizeX" type="int">{}</attr>
<attr key="sizeY" type="int">{}</attr></node></node>"""


def aedat4_events(rows, count=None, kind=b"EVTS"):
    """A size-prefixed FlatBuffer with one vector of events; ``count`` is what it claims."""
    events = b"".join(struct.pack("<qhhB3x", *row) for row in rows)
    # Root at 16; its fields at 8: 6 bytes of list, 8 of table, field 0 at 4; the table: 8 back, the vector 4 on.
    table = struct.pack("<I4sHHHHiII", 16, kind, 6, 8, 4, 0, 8, 4, len(rows) if count is None else count)
    return struct.pack("<I", len(table) + len(events)) + table + events


def aedat4_header(compression=1, table=-1, streams=((0, "EVTS", 128, 128),), text=None):
    """The first line and the header; the place of the table of packets stands 40 bytes into the header."""
    nodes = "".join(STREAM.format(*stream) for stream in streams)
    text = f'<dv version="2.0"><node name="outInfo">{nodes}</node></dv>'.encode() if text is None else text
    # Root at 24; its fields at 8: 10 bytes of list, 24 of table, field 0 at 4, 1 at 16, 2 at 8.
    fields = struct.pack("<I4sHHHHH6x", 24, b"IOHE", 10, 24, 4, 16, 8)
    body = fields + struct.pack("<iiIIq", 16, compression, 16, 0, table) + struct.pack("<I", len(text)) + text + b"\0"
    return b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(body)) + body


def aedat4_packet(stream, data, compression=1):
    """A packet with its body compressed."""
    body = AEDAT4_COMPRESSORS[compression](data)
    return struct.pack("<ii", stream, len(body)) + body


def write_aedat4(rows, compression=1, size=400, table=True, streams=((0, "EVTS", 128, 128),), others=b""):
    """AEDAT 4.0 in packets of ``size`` events, then ``others``, and an empty table of packets if there is one."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    body = b"".join(aedat4_packet(streams[0][0], aedat4_events(part), compression) for part in parts) + others
    head = aedat4_header(compression, -1, streams)
    if not table:
        return head + body
    end = aedat4_packet(-1, struct.pack("<II4sHHi", 16, 12, b"FTAB", 4, 4, 4), compression)[8:]
    return aedat4_header(compression, len(head) + len(body), streams) + body + end


def write_csv(rows, order="txyp", separator=",", head=True, end="\n"):
    """Lines of text with their columns in this order."""
    lines = [separator.join(order)] if head else []
    places = ["txyp".index(name) for name in order]
    lines += [separator.join(str(row[place]) for place in places) for row in rows]
    return (end.join(lines) + end).encode()


def spif_words(rows):
    """SPIF words of rows (t, x, y, p); a time of None leaves the time away."""
    words = []
    for t, x, y, p in rows:
        words.append((t is None) << 31 | x << 16 | p << 15 | y)
        if t is not None:
            words.append(t & 0xFFFFFFFF)
    return struct.pack(f"<{len(words)}I", *words)


def decode_spif(data):
    """Rows (t or None, x, y, p) of one SPIF datagram, word by word, and whether bytes were left over."""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    rows, at = [], 0
    while at < len(words):
        word, time = words[at], None
        if word >> 31 == 0:
            if at + 1 == len(words):
                return rows, True
            time, at = words[at + 1], at + 1
        rows.append((time, word >> 16 & 0x7FFF, word & 0x7FFF, word >> 15 & 1))
        at += 1
    return rows, len(data) % 4 > 0 or len(data) < 4
