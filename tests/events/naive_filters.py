"""Slow, obvious counterparts of the filters: rows (t, x, y, p) in, rows out."""

import math
from fractions import Fraction
from statistics import median

EIGHT = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


def refractory(rows, dead_time):
    last, kept = {}, []
    for t, x, y, p in rows:
        if (x, y) not in last or t - last[x, y] >= dead_time:
            last[x, y] = t
            kept.append((t, x, y, p))
    return kept


def background(rows, within):
    last, kept = {}, []
    for t, x, y, p in rows:
        around = [last[x + i, y + j] for i, j in EIGHT if (x + i, y + j) in last]
        if any(t - before <= within for before in around):
            kept.append((t, x, y, p))
        last[x, y] = t
    return kept


def rate(rows, rate, burst):
    tokens, before, kept = Fraction(burst), None, []
    for row in rows:
        if before is not None:
            tokens = min(tokens + Fraction(rate * (row[0] - before), 10**6), Fraction(burst))
        before = row[0]
        if tokens >= 1:
            tokens -= 1
            kept.append(row)
    return kept


def roi(rows, area):
    x0, y0, width, height = area
    return [row for row in rows if x0 <= row[1] < x0 + width and y0 <= row[2] < y0 + height]


def polarity(rows, wanted):
    return [row for row in rows if row[3] == wanted]


def without(rows, pixels):
    return [row for row in rows if (row[1], row[2]) not in pixels]


def hot_pixels(rows, sensor_size, learn):
    """The hot pixels of the rows before the first one's time plus ``learn``."""
    width, height = sensor_size
    counts = [[0] * width for _ in range(height)]
    for t, x, y, _ in rows:
        if t < rows[0][0] + learn:
            counts[y][x] += 1
    steady = [[2 * math.sqrt(count + 0.375) for count in row] for row in counts]
    difference = {}
    for y in range(height):
        for x in range(width):
            around = [steady[mirrored(y + j, height)][mirrored(x + i, width)] for i, j in EIGHT]
            difference[x, y] = steady[y][x] - median(around)
    active = [value for (x, y), value in difference.items() if counts[y][x]]
    middle = median(active)
    spread = max(1.0, 1.4826 * median(abs(value - middle) for value in active))
    return {pixel for pixel, value in difference.items() if value > 5 * spread}


def mirrored(at, size):
    """-1 is 1 and the first beyond the end is the last but one."""
    return -at if at < 0 else 2 * size - 2 - at if at >= size else at
