"""``--filter`` and ``--save-hot-pixels`` of ``nirbridge encode`` and ``nirbridge stream``."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from nirbridge.cli import encode as encode_module
from nirbridge.cli import stream as stream_module
from nirbridge.errors import FileError, InputError
from nirbridge.ir import EventInput
from nirbridge_events import FILTERS, HotPixelFilter, RefractoryFilter, encode, filtered, write_nmnist
from tests.events import naive
from tests.events.test_event_commands import write_model

FRAMES = ["--window", "10ms", "--coding", "count"]


def run(module, *arguments):
    return CliRunner().invoke(module.command, [str(argument) for argument in arguments])


@pytest.fixture
def events():
    events = naive.make_events(np.random.default_rng(0), 2000, (34, 34), span=95_000)
    events.x[::3], events.y[::3] = 5, 7
    return events


@pytest.fixture
def recording(tmp_path, events):
    write_nmnist(tmp_path / "rec.bin", events)
    return tmp_path / "rec.bin"


def test_encode_filters_in_the_order_given(tmp_path, recording, events):
    how = ["--filter", "hot-pixels=learn:0.5s", "--filter", "refractory=20ms"]
    out = ["-o", tmp_path / "f.npy", "--save-hot-pixels", tmp_path / "hot.npy"]
    result = run(encode_module, recording, *FRAMES, *how, *out)
    assert result.exit_code == 0, result.output
    kept = filtered(events, [HotPixelFilter(learn=500_000), RefractoryFilter(20_000)], (34, 34))
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), encode(kept, window=10_000, coding="count"))
    assert np.argwhere(np.load(tmp_path / "hot.npy")).tolist() == [[7, 5]]
    hot = int(((events.x == 5) & (events.y == 7)).sum())
    assert f"filter hot-pixels=learn:500ms: {hot} of 2000 events were taken out ({hot / 20:.1f} %)" in result.stderr
    assert "1 hot pixels found in 2000 events" in result.stderr
    assert f"filter refractory=20ms: {2000 - hot - kept.report.events} of {2000 - hot} " in result.stderr
    assert f"{tmp_path / 'hot.npy'}: 1 hot pixels of 34x34." in result.stderr
    result = run(encode_module, recording, *FRAMES, "--filter", f"hot-pixels={tmp_path / 'hot.npy'}", *how[2:], *out)
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), encode(kept, window=10_000, coding="count"))


def test_stream_counts_in_its_summary(tmp_path, recording, events):
    model = write_model(tmp_path / "m.nir", EventInput((2, 17, 17), (34, 34), 10_000, coding="count"))
    filters = ["--filter", "hot-pixels=learn", "--filter", "roi=0,0,30,34", "--filter", "polarity=on"]
    result = run(stream_module, recording, "--model", model, *filters, "--save-hot-pixels", tmp_path / "hot.npy")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout.splitlines()[-1])["summary"]
    kept = (events.x < 30) & ((events.x != 5) | (events.y != 7)) & (events.p == 1)
    assert summary["events"] == int(kept.sum())
    counts = summary["source"]["filters"]
    assert [one["filter"] for one in counts] == ["hot-pixels=learn:1s", "roi=0,0,30x34", "polarity=on"]
    assert 2000 - sum(one["removed"] for one in counts) == summary["events"]
    assert np.load(tmp_path / "hot.npy").sum() == 1


@pytest.mark.parametrize(
    ("text", "error", "found"),
    [
        ("hot=1", InputError, "filter 'hot': 'hot=1' is no filter. Known are background=DURATION, hot-pixels="),
        ("refractory", InputError, "filter 'refractory': 'refractory' has no value"),
        ("refractory=1", InputError, "option --filter: '1' is not a length"),
        ("background=0ms", InputError, "option --filter: '0ms' is not a length"),
        ("rate=many", InputError, "filter 'rate': 'many' is not a whole number of events a second"),
        ("rate=0.5", InputError, "filter 'rate': '0.5' is not"),
        ("rate=2G", InputError, "filter 'rate': '2G' is not"),
        ("roi=1,2,3", InputError, "filter 'roi': '1,2,3' is not X,Y,WIDTHxHEIGHT"),
        ("roi=30,0,5x5", InputError, r"filter 'roi': 5x5 pixels from \(30, 0\) leave the sensor of 34x34"),
        ("polarity=", InputError, "filter 'polarity': '' is unknown"),
        ("hot-pixels=", InputError, "filter 'hot-pixels': has no value"),
        ("hot-pixels=learn:", InputError, "option --filter: '' is not a length"),
        ("hot-pixels=none.npy", FileError, "file 'none.npy'"),
    ],
)
def test_wrong_filters_are_one_clear_error(recording, tmp_path, text, error, found):
    result = run(encode_module, recording, *FRAMES, "-o", tmp_path / "f.npy", "--filter", text)
    assert isinstance(result.exception, error)
    with pytest.raises(error, match=found):
        raise result.exception
    assert not (tmp_path / "f.npy").exists()


def test_hot_pixels_are_saved_only_where_they_are_looked_for(recording, tmp_path):
    arguments = [recording, *FRAMES, "-o", tmp_path / "f.npy", "--save-hot-pixels"]
    result = run(encode_module, *arguments, tmp_path / "hot.npy", "--filter", "rate=1k")
    assert "option --save-hot-pixels: has nothing to write" in str(result.exception)
    result = run(encode_module, *arguments, tmp_path / "hot.csv", "--filter", "hot-pixels=learn")
    assert "ends with '.csv', expected '.npy'" in str(result.exception)


@pytest.mark.parametrize(("text", "rate"), [("2M", 2_000_000), ("1.5k", 1500), ("12", 12), ("1G", 10**9)])
def test_rates_have_factors(text, rate):
    assert FILTERS["rate"].parse(text, int).rate == rate


def test_the_help_names_every_filter():
    text = run(encode_module, "--help").output
    assert all(f"{name}=" in " ".join(text.split()) for name in FILTERS)


def test_every_filter_writes_what_it_reads():
    duration = {"2ms": 2000, "1s": 1_000_000, "7us": 7}
    texts = ["background=2ms", "refractory=7us", "hot-pixels=learn:1s", "rate=5000", "roi=1,2,3x4", "polarity=off"]
    for text in texts:
        name, _, value = text.partition("=")
        assert str(FILTERS[name].parse(value, duration.get)) == text
    assert {text.partition("=")[0] for text in texts} == set(FILTERS)
