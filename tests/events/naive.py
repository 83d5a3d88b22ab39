"""Slow, obvious counterparts: decoders and writers word by word, encoders event by event."""

import math
import struct

import numpy as np

from nirbridge_events import Events, as_events

HEADER_2 = b"% evt 2.0\n"
HEADER_3 = b"% evt 3.0\n"


def make_events(rng, count, sensor_size=(8, 6), span=1000, start=0):
    """Random events in order of time."""
    return Events(
        rng.integers(0, sensor_size[0], count).astype(np.uint16),
        rng.integers(0, sensor_size[1], count).astype(np.uint16),
        np.sort(rng.integers(start, start + span, count)).astype(np.int64),
        rng.integers(0, 2, count).astype(np.uint8),
    )


def events_of(rows):
    """Events from rows (t, x, y, p)."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 4)
    array = np.zeros(len(columns), dtype=[("t", "i8"), ("x", "i4"), ("y", "i4"), ("p", "i1")])
    for i, name in enumerate("txyp"):
        array[name] = columns[:, i]
    return as_events(array)


def rows_of(events):
    """Rows (t, x, y, p) of events."""
    return list(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True))


def decode_nmnist(data):
    """Rows of an N-MNIST file, event by event."""
    rows, overflow = [], 0
    for x, y, high, middle, low in struct.iter_unpack(">5B", data):
        if y == 240:
            overflow += 8192
        else:
            rows.append((overflow + ((high & 127) << 16 | middle << 8 | low), x, y, high >> 7))
    return rows


def decode_es(data):
    """Rows of an Event Stream file, byte by byte."""
    height, at, time, rows = struct.unpack("<H", data[18:20])[0], 20, 0, []
    while at < len(data):
        if data[at] == 0xFF:
            time, at = time + 127, at + 1
        elif data[at] == 0xFE:
            at += 1
        else:
            head, x, y = struct.unpack("<BHH", data[at : at + 5])
            time, at = time + (head >> 1), at + 5
            rows.append((time, x, height - 1 - y, head & 1))
    return rows


def decode_evt3(data):
    """Rows of EVT 3.0 words without header, word by word; times may wrap."""
    high = low = loops = 0
    y = base = polarity = 0
    rows = []
    for (word,) in struct.iter_unpack("<H", data):
        kind, value = word >> 12, word & 0xFFF
        if kind == 0x0:
            y = value & 0x7FF
        elif kind == 0x2:
            rows.append(((loops << 24) + (high << 12) + low, value & 0x7FF, y, value >> 11))
        elif kind == 0x3:
            base, polarity = value & 0x7FF, value >> 11
        elif kind in (0x4, 0x5):
            for bit in range(12 if kind == 0x4 else 8):
                if value >> bit & 1:
                    rows.append(((loops << 24) + (high << 12) + low, base + bit, y, polarity))
            base += 12 if kind == 0x4 else 8
        elif kind == 0x6:
            low = value
        elif kind == 0x8:
            loops += value < high - 2048
            low = low if value == high else 0
            high = value
    return rows


def write_evt2(rows):
    """EVT 2.0 words of rows (t, x, y, p)."""
    words, high = [], None
    for t, x, y, p in rows:
        if t >> 6 != high:
            high = t >> 6
            words.append(0x8 << 28 | high & 0xFFFFFFF)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return HEADER_2 + struct.pack(f"<{len(words)}I", *words)


def write_evt3(rows):
    """EVT 3.0 words of rows (t, x, y, p), one ADDR_X word an event."""
    words, high, low, row = [], None, None, None
    for t, x, y, p in rows:
        if t >> 12 != high:
            high, low = t >> 12, 0
            words.append(0x8 << 12 | high & 0xFFF)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        words.append(0x2 << 12 | p << 11 | x)
    return HEADER_3 + struct.pack(f"<{len(words)}H", *words)


def encode_events(rows, sensor_size, window, coding, lanes, subframes, size, downsample, polarities, start=None):
    """Frames by the equations of FrameEncoder, event by event and pixel by pixel."""
    if not rows:
        return np.zeros((0, polarities, size[1], size[0]), dtype=np.float32)
    start = rows[0][0] if start is None else start
    rows = [row for row in rows if row[0] >= start]
    steps = (rows[-1][0] - start) // window + 1 if rows else 0
    counts = np.zeros((steps, subframes, polarities, sensor_size[1], sensor_size[0]), dtype=np.int64)
    for t, x, y, p in rows:
        step, rest = divmod(t - start, window)
        counts[step, rest * subframes // window, p if polarities == 2 else 0, y, x] += 1
    merged = np.zeros((steps, subframes, polarities, size[1], size[0]), dtype=np.int64)
    plain = coding == "count" and size == sensor_size
    for y in range(sensor_size[1]):
        for x in range(sensor_size[0]):
            target = merged[..., y * size[1] // sensor_size[1], x * size[0] // sensor_size[0]]
            pixel = counts[..., y, x]
            if plain or downsample == "sum":
                target += pixel
            elif downsample == "max":
                np.maximum(target, pixel, out=target)
            else:
                target |= pixel > 0
    if coding == "count":
        return merged.sum(axis=1).astype(np.float32)
    active = (merged > 0).sum(axis=1)
    if coding == "binary":
        return (active > 0).astype(np.float32)
    return np.vectorize(lambda c: one_hot_value(c, lanes), otypes=[np.float32])(active)


def one_hot_value(count, lanes):
    """min(2^round(log2 c), 2^(lanes-1)), 0 of 0."""
    return min(2 ** round(math.log2(count)), 2 ** (lanes - 1)) if count else 0


def crop_rows(rows, crop):
    """The rows inside (x, y, width, height), counted from its corner."""
    x0, y0, width, height = crop
    return [(t, x - x0, y - y0, p) for t, x, y, p in rows if 0 <= x - x0 < width and 0 <= y - y0 < height]


def phase_frames(counts, phases):
    """Binary digits of min(c, 2^K - 1), most significant first: [T, ...] -> [T·K, ...]."""
    digits = np.vectorize(lambda c: format(min(int(c), 2**phases - 1), f"0{phases}b"), otypes=[object])(counts)
    frames = [np.vectorize(lambda text, k=k: float(text[k]), otypes=[np.float32])(digits) for k in range(phases)]
    return np.stack(frames, axis=1).reshape(-1, *counts.shape[1:]) if len(counts) else counts


def voxel_frames(rows, sensor_size, window, bins, size, polarities, start):
    """Each event shared between the two bins around its time, event by event: [T·B, P, H, W]."""
    steps = (rows[-1][0] - start) // window + 1 if rows else 0
    frames = np.zeros((steps, bins, polarities, size[1], size[0]))
    for t, x, y, p in rows:
        step, rest = divmod(t - start, window)
        place = (p if polarities == 2 else 0, y * size[1] // sensor_size[1], x * size[0] // sensor_size[0])
        for b in range(bins):
            frames[(step, b, *place)] += max(0.0, 1 - abs(b - (bins - 1) * rest / window))
    return frames.reshape(-1, *frames.shape[2:]).astype(np.float32)


def surface_frames(rows, sensor_size, window, tau, size, polarities, start, ends=None):
    """How long ago the last event of each pixel is at the end of each window, event by event: [T, P, H, W]."""
    steps = (rows[-1][0] - start) // window + 1 if rows else 0
    ends = [start + window * (step + 1) for step in range(steps)] if ends is None else ends
    frames = np.zeros((len(ends), polarities, size[1], size[0]))
    for frame, end in zip(frames, ends, strict=True):
        for t, x, y, p in rows:
            if start <= t < end:
                place = (p if polarities == 2 else 0, y * size[1] // sensor_size[1], x * size[0] // sensor_size[0])
                frame[place] = math.exp(-(end - t) / tau)
    return frames.astype(np.float32)
