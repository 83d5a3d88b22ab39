"""Each filter against a slow, literal one; incremental against batch for any split; compiled against interpreted."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nirbridge.errors import InputError
from nirbridge_events import (
    FILTERS,
    BackgroundFilter,
    Events,
    FilterChain,
    HotPixelFilter,
    PolarityFilter,
    RateFilter,
    RefractoryFilter,
    RoiFilter,
    open_recording,
)
from nirbridge_events.filters import loops, recent_times
from tests.events import naive
from tests.events import naive_filters as slow

SENSOR = (7, 5)
HOT = [(1, 2), (6, 4)]
CASES = [
    (RefractoryFilter(25), lambda rows: slow.refractory(rows, 25)),
    (RefractoryFilter(1), lambda rows: slow.refractory(rows, 1)),
    (BackgroundFilter(6), lambda rows: slow.background(rows, 6)),
    (BackgroundFilter(1), lambda rows: slow.background(rows, 1)),
    (RateFilter(70_000), lambda rows: slow.rate(rows, 70_000, 70)),
    (RateFilter(130_001, burst=3), lambda rows: slow.rate(rows, 130_001, 3)),
    (RateFilter(1, burst=1), lambda rows: slow.rate(rows, 1, 1)),
    (RoiFilter((1, 0, 3, 5)), lambda rows: slow.roi(rows, (1, 0, 3, 5))),
    (PolarityFilter("off"), lambda rows: slow.polarity(rows, 0)),
    (HotPixelFilter(HOT), lambda rows: slow.without(rows, set(HOT))),
    (HotPixelFilter(learn=300), lambda rows: slow.without(rows, slow.hot_pixels(rows, SENSOR, 300) if rows else ())),
]
IDS = [f"{kind}-{number}" for number, (kind, _) in enumerate(CASES)]


@pytest.fixture(params=["numba", "interpreted", "numba later"])
def how(request, monkeypatch):
    """Loops compiled, interpreted, or first one and then the other."""
    if request.param == "interpreted":
        monkeypatch.setattr(loops.Loop, "_ready", lambda self, events: None)
        return request.param
    pytest.importorskip("numba")
    monkeypatch.setattr(loops._Usage, "events", 0)
    monkeypatch.setattr(loops, "WORTH_LOADING", 200 if request.param == "numba later" else 0)
    for loop in all_loops():
        monkeypatch.setattr(loop, "_compiled", None if request.param == "numba later" else loop._compiled)
    return request.param


def all_loops():
    from nirbridge_events.filters import background, rate, refractory

    return [module._LOOP for module in (background, rate, refractory)]


def busy_events(seed=0, count=600, span=1000):
    """Random events, half of them from one of the pixels."""
    events = naive.make_events(np.random.default_rng(seed), count, SENSOR, span=span, start=50)
    events.x[::2], events.y[::2] = HOT[0]
    return events


def through(filters, events, cuts=(), sensor=SENSOR):
    chain = FilterChain(filters, sensor)
    parts = [events[a:b] for a, b in pairwise([0, *cuts, len(events)])]
    return Events.concatenate(list(chain.over(parts))), chain.reports


def test_every_filter_of_the_table_is_judged():
    assert {type(kind) for kind, _ in CASES} == set(FILTERS.values())


@pytest.mark.parametrize(("kind", "wanted"), CASES, ids=IDS)
def test_filters_equal_the_equations(kind, wanted, how):
    events = busy_events()
    cuts = range(10, 600, 70) if how == "numba later" else ()
    found, (report,) = through([kind], events, cuts)
    rows = wanted(naive.rows_of(events))
    assert naive.rows_of(found) == rows
    assert 0 < len(rows) < len(events)
    assert (report.filter, report.events, report.removed) == (str(kind), 600, 600 - len(rows))
    assert report.held == 0


@st.composite
def streams(draw):
    gaps = draw(st.lists(st.integers(0, 60), min_size=0, max_size=60))
    start = draw(st.sampled_from([0, 10**12, -(1 << 63), (1 << 63) - 1 - sum(gaps)]))
    t = np.array([start + sum(gaps[:i]) for i in range(len(gaps))], dtype=np.int64)
    events = naive.make_events(np.random.default_rng(draw(st.integers(0, 2**32))), len(t), SENSOR)
    cuts = sorted(draw(st.lists(st.integers(0, len(t)), max_size=8)))
    return Events(events.x, events.y, t, events.p), cuts


@settings(
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(streams(), st.lists(st.sampled_from(CASES), min_size=1, max_size=3))
def test_incremental_equals_batch_for_any_split_and_order(how, stream, cases):
    events, cuts = stream
    kinds = [kind for kind, _ in cases]
    found, reports = through(kinds, events, cuts)
    rows, left = naive.rows_of(events), []
    for _, wanted in cases:
        left.append(len(rows))
        rows = wanted(rows)
    assert naive.rows_of(found) == rows
    assert [report.events for report in reports] == left
    assert sum(report.removed for report in reports) == len(events) - len(rows)
    assert [array.dtype for array in (found.x, found.y, found.t, found.p)] == ["u2", "u2", "i8", "u1"]


@pytest.mark.parametrize("start", [-(1 << 63), 0, (1 << 63) - 40 * 900])
def test_the_origin_of_times_moves_along(how, start, monkeypatch):
    monkeypatch.setattr(recent_times, "SPAN", 64)
    monkeypatch.setattr(recent_times, "REACH", 32)
    events = naive.make_events(np.random.default_rng(3), 900, SENSOR)
    gaps = np.random.default_rng(4).choice([0, 1, 5, 30], 900, p=[0.3, 0.4, 0.2, 0.1])
    gaps[0] = 0
    events = Events(events.x, events.y, start + np.cumsum(gaps), events.p)
    for kind, wanted in CASES[:4]:
        assert naive.rows_of(through([kind], events, range(100, 900, 100))[0]) == wanted(naive.rows_of(events))


def test_times_as_far_apart_as_they_can_be(how):
    ends = [(-(1 << 63), 2, 2, 1), (-5, 2, 3, 0), (-5, 3, 3, 0), ((1 << 63) - 1, 2, 2, 1)]
    for kind, wanted in CASES[:9]:
        assert naive.rows_of(through([kind], naive.events_of(ends))[0]) == wanted(ends)


@pytest.mark.parametrize(("name", "size"), [("dvs.es", (320, 240)), ("evt2.raw", (640, 480)), ("nmnist", (34, 34))])
def test_real_recordings_equal_the_equations(name, size, shared_data, how):
    path = (
        shared_data / "events" / name if name != "nmnist" else next((shared_data / "nmnist-small/train").glob("*.bin"))
    )
    events = Events.concatenate(list(open_recording(path, size)))[-9000:]
    rows = naive.rows_of(events)
    for kind, wanted in (
        (RefractoryFilter(20_000), slow.refractory(rows, 20_000)),
        (BackgroundFilter(500), slow.background(rows, 500)),
        (RateFilter(5000), slow.rate(rows, 5000, 5)),
    ):
        assert naive.rows_of(through([kind], events, (1000, 7777), size)[0]) == wanted
        assert 0 < len(wanted) < len(rows)


def test_a_live_stream_compiles_before_its_first_event_and_never_again(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(loops._Usage, "events", 0)
    for loop in all_loops():
        monkeypatch.setattr(loop, "_compiled", None)
    kinds = [BackgroundFilter(5000), RefractoryFilter(10), RateFilter(9)]
    chain = FilterChain(kinds, SENSOR, live=True)
    assert [report.events for report in chain.reports] == [0, 0, 0]
    events = busy_events()
    events.t.flags.writeable = False
    strided = Events(np.repeat(events.x, 2)[::2], events.y, events.t, events.p)
    assert len(chain.apply(strided)) > 0
    assert [len(loop._compiled.signatures) for loop in all_loops()] == [1, 1, 1]


def test_a_chain_begins_anew(how):
    chain = FilterChain([RefractoryFilter(1000), RateFilter(10_000)], SENSOR)
    first = [naive.rows_of(Events.concatenate(list(chain.over([busy_events()])))) for _ in range(2)]
    assert first[0] == first[1]
    assert chain.reports[0].events == 600


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: RefractoryFilter(0), "dead_time: 0 is not a whole number in 1"),
        (lambda: RefractoryFilter(1 << 31), "dead_time: 2147483648"),
        (lambda: BackgroundFilter(2.5), "within: 2.5"),
        (lambda: RateFilter(0), "rate: 0"),
        (lambda: RateFilter(10, burst=0), "burst: 0"),
        (lambda: RoiFilter((1, 2, 0, 3)), r"filter 'roi': \(1, 2, 0, 3\) is not"),
        (lambda: PolarityFilter("both"), "filter 'polarity': 'both' is unknown"),
        (lambda: FilterChain([RoiFilter((1, 2, 7, 3))], SENSOR), r"7x3 pixels from \(1, 2\) leave the sensor of 7x5"),
        (lambda: FilterChain([HotPixelFilter([(7, 0)])], SENSOR), r"\(7, 0\) is outside the sensor of 7x5"),
        (lambda: FilterChain([HotPixelFilter(np.zeros((7, 5), bool))], SENSOR), r"shape \(7, 5\), the sensor has"),
        (lambda: FilterChain([HotPixelFilter([1, 2])], SENSOR), "neither bool"),
        (lambda: HotPixelFilter([(1, 1)], learn=5), "has given pixels and learns too"),
        (lambda: HotPixelFilter(learn=0), "learn: 0"),
    ],
)
def test_wrong_filters_are_refused(make, found):
    with pytest.raises(InputError, match=found):
        make()
