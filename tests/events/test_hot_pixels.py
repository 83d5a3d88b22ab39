"""Hot pixels: learned or given, files of them, and what happens to events meanwhile."""

import numpy as np
import pytest

from nirbridge.errors import FileError
from nirbridge_events import Events, FilterChain, HotPixelFilter, RefractoryFilter, find_hot_pixels, open_recording
from nirbridge_events.filters import hot_pixels
from tests.events import naive

SENSOR = (12, 9)


def noisy(seed=0, count=3000, span=2_000_000, hot=((3, 4), (0, 0))):
    """Background events, and pixels among them with as many as all others together."""
    rng = np.random.default_rng(seed)
    events = naive.make_events(rng, count, SENSOR, span=span)
    for number, (x, y) in enumerate(hot):
        at = slice(number, None, 4)
        events.x[at], events.y[at] = x, y
    return events


def test_what_stands_out_from_its_neighbours_is_hot():
    counts = np.random.default_rng(1).poisson(50, (40, 60))
    counts[:, 30:] = np.random.default_rng(2).poisson(4000, (40, 30))  # a bright half, with an edge, is none
    assert not find_hot_pixels(counts).any()
    for x, y in ((5, 5), (6, 5), (0, 0), (29, 7), (59, 39)):
        counts[y, x] *= 4
    assert sorted(map(tuple, np.argwhere(find_hot_pixels(counts)).tolist())) == [
        (0, 0),
        (5, 5),
        (5, 6),
        (7, 29),
        (39, 59),
    ]


def test_a_sensor_without_events_or_neighbours_has_none():
    assert not find_hot_pixels(np.zeros((4, 4))).any()
    assert not find_hot_pixels(np.full((1, 1), 1000)).any()


def test_events_are_held_back_until_learning_ends():
    events = noisy()
    chain = FilterChain([HotPixelFilter()], SENSOR)
    stop = int(np.searchsorted(events.t, events.t[0] + 1_000_000))
    assert len(chain.apply(events[:500])) == len(chain.apply(events[500:stop])) == 0
    assert (chain.reports[0].held, chain.reports[0].removed) == (stop, 0)
    assert chain.reports[0].notes == (f"still learns hot pixels from {stop} events",)
    assert chain.hot_pixels is None
    first = chain.apply(events[stop:])
    hot = ((events.x == 3) & (events.y == 4)) | ((events.x == 0) & (events.y == 0))
    assert naive.rows_of(first) == naive.rows_of(events.select(~hot))
    assert np.argwhere(chain.hot_pixels).tolist() == [[0, 0], [4, 3]]
    assert chain.reports[0].removed == int(hot.sum())
    assert chain.reports[0].notes == (f"2 hot pixels found in {stop} events of the first 0.998 s",)


def test_a_short_recording_is_learned_from_whole():
    events = noisy(span=90_000)
    found = Events.concatenate(list(open_recording(events, SENSOR, filters=[HotPixelFilter()])))
    assert naive.rows_of(found) == naive.rows_of(
        events.select(((events.x != 3) | (events.y != 4)) & (events.x + events.y > 0))
    )


def test_learning_ends_early_where_events_are_many(monkeypatch):
    monkeypatch.setattr(hot_pixels, "MOST_LEARNED", 1000)
    chain = FilterChain([HotPixelFilter()], SENSOR)
    assert len(chain.apply(noisy()[:1000])) == 0
    assert len(chain.apply(noisy()[1000:1001])) > 0
    assert "in 1000 events" in chain.reports[0].notes[0]
    batch = FilterChain([HotPixelFilter()], SENSOR)
    together = Events.concatenate(list(batch.over([noisy()])))
    pieces = Events.concatenate(list(batch.over(noisy()[at : at + 7] for at in range(0, 3000, 7))))
    assert naive.rows_of(together) == naive.rows_of(pieces)


def test_what_is_held_goes_through_the_filters_behind():
    events = noisy(span=90_000)
    chain = FilterChain([HotPixelFilter(), RefractoryFilter(5000), HotPixelFilter()], SENSOR)
    together = Events.concatenate(list(chain.over([events])))
    first, second, third = chain.reports
    assert (second.events, third.events) == (3000 - first.removed, second.events - second.removed)
    assert len(together) == third.events - third.removed > 0
    assert (np.diff(together.t) >= 0).all()


def test_a_live_source_is_never_held_up():
    chain = FilterChain([HotPixelFilter()], SENSOR, live=True)
    events = noisy()
    stop = int(np.searchsorted(events.t, events.t[0] + 1_000_000))
    assert naive.rows_of(chain.apply(events[:stop])) == naive.rows_of(events[:stop])
    later = chain.apply(events[stop:])
    assert not ((later.x == 3) & (later.y == 4)).any()
    assert "which passed as they came" in chain.reports[0].notes[0]


@pytest.mark.parametrize(
    "text", ["3,4\n0,0\n", "x,y\n3,4\n\n0,0  # the corner\n", "# hot\n3 4\n0\t0", "x;y\n3;4\n0;0\n"], ids=repr
)
def test_lists_of_pixels(tmp_path, text):
    (tmp_path / "hot.csv").write_text(text)
    np.save(tmp_path / "hot.npy", find_hot_pixels(np.histogram2d(noisy().y, noisy().x, (range(10), range(13)))[0]))
    events = noisy()
    for name in ("hot.csv", "hot.npy"):
        chain = FilterChain([HotPixelFilter(tmp_path / name)], SENSOR)
        kept = chain.apply(events)
        assert np.argwhere(chain.hot_pixels).tolist() == [[0, 0], [4, 3]]
        assert len(kept) == len(events) - chain.reports[0].removed < len(events)
        assert chain.reports[0].notes == ("2 hot pixels are given",)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", "x,y\n3,4\n5,-1\n", "line 3 is not x,y: '5,-1'"),
        ("a.csv", "3,4,5\n", "line 1 is not x,y"),
        ("a.csv", "3,4\nx,y\n", "line 2 is not x,y"),
        ("a.csv", b"\xff\xfe\xff", "is no readable text"),
        ("none.csv", None, "is no readable text"),
        ("a.npy", np.zeros((9, 12)), r"holds float64 \(9, 12\), not bool \[H, W\]"),
        ("none.npy", None, "none.npy"),
    ],
    ids=str,
)
def test_files_that_are_no_lists_are_refused(tmp_path, name, content, found):
    if isinstance(content, np.ndarray):
        np.save(tmp_path / name, content)
    elif content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FileError, match=found):
        HotPixelFilter(tmp_path / name)


def test_real_hot_pixels_are_found(shared_data):
    recording = open_recording(shared_data / "events/evt3_sample.raw", filters=[HotPixelFilter()])
    kept = sum(len(chunk) for chunk in recording)
    mask = recording.current.filters.hot_pixels
    # Each has 17 to 29 events within 9 ms, and none to a few around it.
    assert np.argwhere(mask)[:, ::-1].tolist() == [[824, 314], [1218, 381], [767, 587], [668, 675]]
    assert 219_596 - kept == recording.report.filters[0].removed == 96
