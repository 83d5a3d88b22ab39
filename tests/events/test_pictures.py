"""Pictures: their colours against the frames, and the files that ``nirbridge encode --picture`` writes."""

import numpy as np
import pytest
from click.testing import CliRunner

from nirbridge.cli.encode import command
from nirbridge.errors import InputError
from nirbridge.pictures import libraries, polarity, polarity_image
from nirbridge_events import EncoderSettings, FrameEncoder, pictures, write_nmnist
from nirbridge_events.viewing.snapshots import channels, shrunk
from nirbridge_events.windows import Window
from tests.events import naive

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.fixture
def recording(tmp_path):
    events = naive.make_events(np.random.default_rng(0), 3000, (34, 34), span=95_000)
    write_nmnist(tmp_path / "rec.bin", events)
    return tmp_path / "rec.bin"


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_polarities_have_their_colours():
    settings = EncoderSettings((3, 1), coding="count")
    frame = np.zeros((1, 2, 1, 3), dtype=np.float32)
    frame[0, 0, 0, 0] = frame[0, 1, 0, 1] = 2
    image = polarity_image(channels(frame, settings))
    assert image.tolist() == [[list(polarity.OFF), list(polarity.ON), list(polarity.GROUND)]]
    frame[0, :, 0, 2] = 2
    assert polarity_image(channels(frame, settings))[0, 2].tolist() == list(polarity.BOTH)
    signed = EncoderSettings((3, 1), coding="count", polarity="signed")
    image = polarity_image(channels(np.array([[[[-1, 1, 0]]]], dtype=np.float32), signed))
    assert image.tolist() == [[list(polarity.OFF), list(polarity.ON), list(polarity.GROUND)]]


def test_levels_are_lanes_counts_and_digits():
    one_hot = np.array([[[[0, 1, 2]], [[4, 0, 8]]]], dtype=np.float32)
    settings = EncoderSettings((3, 1), coding="one-hot", lanes=4)
    assert pictures.level_map(one_hot[0], settings).tolist() == [[3, 1, 4]]
    assert pictures.level_map(one_hot[0], EncoderSettings((3, 1), coding="count")).tolist() == [[4, 1, 8]]
    digits = np.array([[[[1, 0, 0]]], [[[0, 1, 0]]], [[[1, 1, 0]]]], dtype=np.float32)
    settings = EncoderSettings((3, 1), coding="phase", phases=3, polarity="merge")
    assert pictures.level_map(channels(digits, settings), settings).tolist() == [[5, 3, 0]]


@pytest.mark.parametrize("size", [(1280, 720), (481, 3), (240, 240), (1, 1000)])
def test_no_event_vanishes_from_a_picture_smaller_than_its_frames(size):
    rng = np.random.default_rng(0)
    for x, y in zip(rng.integers(0, size[0], 20), rng.integers(0, size[1], 20), strict=True):
        values = np.zeros((2, size[1], size[0]), dtype=np.float32)
        values[1, y, x] = 3
        small = shrunk(values, 240)
        assert max(small.shape[1:]) <= 240
        assert (small[0].any(), small[1].max(), np.count_nonzero(small)) == (False, 3, 1)


@pytest.mark.parametrize(
    ("coding", "polarity"),
    [("binary", "merge"), ("count", "signed"), ("one-hot", "keep"), ("phase", "keep"), ("voxel", "keep")],
)
def test_a_sheet_of_every_coding(tmp_path, recording, coding, polarity):
    flags = ["--window", "10ms", "--coding", coding, "--polarity", polarity]
    result = run(recording, "--picture", tmp_path / "p.png", *flags)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'p.png'}\n"
    with Image.open(tmp_path / "p.png") as opened:
        image = np.asarray(opened.convert("RGB"))
    assert image.shape[0] > 300
    assert image.shape[1] > 1000
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 5


def test_a_sheet_keeps_few_windows_spread_over_the_recording():
    sheet = pictures.Sheet(EncoderSettings((34, 34)), "x")
    events = naive.make_events(np.random.default_rng(0), 4000, (34, 34), span=1_000_000)
    assert len(list(sheet.watch(FrameEncoder((34, 34), 10_000).encode([events])))) == 100
    shown = [window.index for window in sheet._shown()]
    assert len(sheet._kept) <= 2 * pictures.COLUMNS
    assert len(shown) == pictures.COLUMNS
    assert (shown[0], shown[-1] > 85) == (0, True)
    assert np.ptp(np.diff(shown)) <= 16


def test_a_film_shows_every_window_and_the_frames_are_written_too(tmp_path, recording):
    flags = ["--window", "10ms", "--coding", "one-hot", "--lanes", 3]
    result = run(recording, "-o", tmp_path / "f.npy", "--picture", tmp_path / "p.gif", *flags)
    assert result.exit_code == 0, result.output
    frames = np.load(tmp_path / "f.npy")
    zoom = pictures.FILM_SIDE // 34
    ramp = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in pictures.LANE_COLOURS])
    with Image.open(tmp_path / "p.gif") as film:
        assert film.n_frames == len(frames) == 10
        assert film.size == ((34 + 2 + 34) * zoom, 34 * zoom)
        for step in (0, 7):
            film.seek(step)
            right = np.asarray(film.convert("RGB"))[::zoom, 36 * zoom :: zoom]
            lanes = np.where(frames[step] > 0, np.log2(np.maximum(frames[step], 1)) + 1, 0).max(axis=0).astype(int)
            assert np.abs(right.astype(int) - ramp[lanes]).max() <= 8


def lengths_of(path):
    with Image.open(path) as film:
        return [(film.seek(number), film.info["duration"])[1] for number in range(film.n_frames)]


def test_a_film_plays_as_fast_as_it_was_recorded(tmp_path):
    """Windows of 45 ms, and of two events with more and more time between them; a picture counts by 10 ms."""
    rows = [(t, i % 34, 3, 1) for i, t in enumerate((0, 20_000, 90_000, 189_999, 200_000, 499_999))]
    (tmp_path / "a.csv").write_text("t_us,x,y,p\n" + "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in rows))
    common = [tmp_path / "a.csv", "--sensor", "34x34", "--coding", "count", "--picture", tmp_path / "p.gif"]
    assert run(*common, "--per-events", 2).exit_code == 0
    assert lengths_of(tmp_path / "p.gif") == [40, 100, 300]
    assert run(*common, "--window", "45ms").exit_code == 0
    assert sum(lengths_of(tmp_path / "p.gif")) == 540
    result = run(*common, "--window", "700s")
    assert "a .gif picture: would show a picture for more than 655 s" in str(result.exception)


def test_a_film_of_a_large_sensor_is_small():
    film = pictures.Film(EncoderSettings((1280, 720), coding="count"), "x")
    frames = np.ones((1, 2, 720, 1280), dtype=np.float32)
    assert film._picture(Window(frames, 0, 0, 1, 1)).size == (427 + 26 + 427, 240)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "option -o or --picture: is missing"),
        (["--picture", "p.jpg"], "ends with '.jpg', expected '.png' or '.gif'"),
        (["--picture", "p.png"], "option --window and --coding: is missing"),
        (["--picture", "p.png", "--window", "10ms", "--coding", "count", "--crop", "5"], "'5' is not X,Y,WIDTHxHEIGHT"),
    ],
)
def test_what_is_refused(recording, arguments, found):
    assert found in str(run(recording, *arguments).exception)


@pytest.mark.parametrize(("suffix", "package"), [(".png", "matplotlib"), (".gif", "pillow")])
def test_a_missing_package_is_said_before_the_work(tmp_path, recording, monkeypatch, suffix, package):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    result = run(recording, "--picture", tmp_path / f"p{suffix}", "--window", "10ms", "--coding", "count")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == (
        f"a {suffix} picture: needs {package}, which is not installed. Run: pip install {package}."
    )


def test_too_long_a_film_is_refused_and_no_file_is_left(tmp_path, recording, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST_FILM", 5)
    result = run(recording, "--picture", tmp_path / "p.gif", "--window", "10ms", "--coding", "count")
    assert "has more than 5 windows" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["rec.bin"]
