"""Files of pictures: kinds, films, names, and that they are whole or not there."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli.plot import command
from nirbridge.errors import InputError
from nirbridge.pictures import libraries, saving
from nirbridge.plotting import film_files, picture
from nirbridge.plotting.film import MOST_PICTURES, Film
from tests.plotting.networks import data, film_graph, levels_graph, line, phase_graph

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")
ImageSequence = pytest.importorskip("PIL.ImageSequence")
BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".gif": b"GIF8"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    nirbridge.write(tmp_path / "model.nir", levels_graph())
    np.save(tmp_path / "x.npy", data()[:4])
    return tmp_path / "model.nir", tmp_path / "x.npy"


def plot(*arguments: Any) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def frames(steps: int = 7) -> np.ndarray:
    return (np.random.default_rng(1).random((steps, 1, 2, 4, 4)) < 0.3).astype(np.float32)


def a_film(steps: int = 7) -> Film:
    found = nirbridge.plot(film_graph(), frames(steps))
    return Film(found.activity, picture.panels_of(found.activity, found.names, None), "t")


@pytest.mark.parametrize("suffix", BEGINS)
def test_kinds_by_their_suffix(files: tuple[Path, Path], tmp_path: Path, suffix: str) -> None:
    result = plot(files[0], "-i", files[1], "-o", tmp_path / f"p{suffix}", "--record", "n1:v")
    assert result.exit_code == 0, result.output
    assert (tmp_path / f"p{suffix}").read_bytes().startswith(BEGINS[suffix])
    assert "sample 0 of 3 is drawn" in result.stderr
    assert result.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.nir", f"p{suffix}", "x.npy"]


def test_a_notebook_shows_a_picture(tmp_path: Path) -> None:
    found = nirbridge.plot(levels_graph(), data(), path=tmp_path / "p.png")
    assert found._repr_png_() == (tmp_path / "p.png").read_bytes()


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_the_same_picture_is_the_same_file(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        nirbridge.plot(line(shape=(1,)), np.ones((2, 1, 1)), path=tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_film_has_a_picture_for_each_step_and_grows() -> None:
    film = a_film()
    assert film.steps == [0, 1, 2, 3, 4, 5, 6]
    last = film.picture(6)
    panels = last[:, -film._whole.shape[1] :]
    np.testing.assert_array_equal(panels, film._whole)
    for step in (0, 3):
        edge = film.edge(step) - film._whole.shape[1]
        shown = film.picture(step)
        np.testing.assert_array_equal(shown[:, edge:], film._bare[:, edge:])
        np.testing.assert_array_equal(shown[:, -film._whole.shape[1] : edge], film._whole[:, : film.edge(step)])
    assert film.edge(0) < film.edge(3) < film.edge(6)
    assert (film._whole != film._bare).any()
    side = last.shape[1] - film._whole.shape[1]
    assert (film.picture(0)[:, :side] != last[:, :side]).any()


def test_long_runs_are_several_steps_a_picture() -> None:
    film = a_film(2 * MOST_PICTURES + 5)
    assert len(film.steps) == 202
    assert film.steps[:2] == [2, 5]
    assert film.steps[-1] == 2 * MOST_PICTURES + 4
    found = nirbridge.plot(film_graph(), frames(2 * MOST_PICTURES + 5))
    assert found.film_notes() == ("the film has a picture for every 3 of its 605 steps",)


def test_a_gif_has_as_many_pictures_as_steps(tmp_path: Path) -> None:
    with nirbridge.compile(film_graph()) as program:
        program.plot(frames(), path=tmp_path / "f.gif")
    with Image.open(tmp_path / "f.gif") as film:
        assert film.n_frames == 7
        assert film.info["duration"] == 100


@pytest.mark.parametrize(("fps", "seconds"), [(0.5, 14.0), (15, 0.47), (30, 0.23), (50, 0.14), (60, 0.14)])
def test_a_gif_is_as_fast_as_asked(tmp_path: Path, fps: float, seconds: float) -> None:
    """It counts in hundredths of a second, and programs slow down what is faster than two of them."""
    nirbridge.plot(film_graph(), frames()).save(tmp_path / "f.gif", fps)
    with Image.open(tmp_path / "f.gif") as film:
        lasts = [picture.info["duration"] for picture in ImageSequence.Iterator(film)]
    assert sum(lasts) == pytest.approx(1000 * seconds)
    assert min(lasts) >= 20


@pytest.mark.parametrize("steps", [1, 2])
def test_a_gif_of_hardly_any_pictures(tmp_path: Path, steps: int) -> None:
    nirbridge.plot(film_graph(), frames(steps), path=tmp_path / "f.gif")
    with Image.open(tmp_path / "f.gif") as film:
        assert film.n_frames == steps
    nirbridge.plot(line(shape=(1,)), np.zeros((steps, 1, 1)), path=tmp_path / "f.gif")


def test_a_phase_code_shows_its_input_for_a_whole_window(tmp_path: Path) -> None:
    found = nirbridge.plot(phase_graph(), np.random.default_rng(7).random((3, 1, 4)))
    film = Film(found.activity, picture.panels_of(found.activity, found.names, None), "")
    assert len(film.steps) == 12
    score = film._score
    assert score is not None
    assert [score.decision_at(step) is None for step in (0, 2, 3, 4)] == [True, True, False, False]


def test_an_mp4_is_made_by_ffmpeg(tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio_ffmpeg")
    nirbridge.plot(film_graph(), frames(), path=tmp_path / "f.mp4")
    found, _ = imageio.count_frames_and_secs(tmp_path / "f.mp4")
    assert found == 7
    assert [path.name for path in tmp_path.iterdir()] == ["f.mp4"]


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imageio_ffmpeg")

    def fails(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "ffmpeg")

    for suffix in (".gif", ".mp4", ".png"):
        path = tmp_path / f"old{suffix}"
        path.write_text("old")
        found = nirbridge.plot(film_graph(), frames())
        with monkeypatch.context() as patch:
            patch.setattr(Film, "picture", fails)
            patch.setattr(saving, "pixels_of", fails)
            patch.setattr(type(found.figure), "savefig", fails)
            with pytest.raises((subprocess.CalledProcessError, nirbridge.errors.ExecutionError)):
                found.save(path)
        assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-o", "p.jpg"), "ends with '.jpg', expected '.png' or '.svg'"),
        (("-o", "none/p.png"), "its folder"),
        (("-o", "p.png", "--record", "n1,nope"), "record 'nope': no node has this name"),
        (("-o", "p.png", "--record", "n0:v"), "has no membrane"),
        (("-o", "p.png", "--sample", "3"), "option 'sample': 3 is none of the data, which hold 3 samples"),
        (("-o", "p.png", "--neurons", "5:3"), "'5:3' holds -2 neurons"),
        (("-o", "p.png", "--fps", "5"), "option --fps: is of films, and 'p.png' is a still"),
        (("-o", "p.png", "--neurons", "a"), "'a' is no number and no A:B"),
        (("-o", "p.png", "--neurons", "0:600,600:1200"), "1200 exceed the 1000"),
        (("-o", "p.png", "--neurons", "20:30"), "node 'n1' has none of them, its neurons are 0 to 19"),
    ],
)
def test_errors_are_one_line_before_a_file_is_there(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], text: str
) -> None:
    from nirbridge.cli import main

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["plot", str(files[0]), "-i", str(files[1]), *arguments])
    assert result.exit_code == 2
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.nir", "x.npy"]


@pytest.mark.parametrize(
    ("suffix", "missing", "package"),
    [(".png", "matplotlib", "matplotlib"), (".gif", "PIL", "pillow"), (".mp4", "imageio_ffmpeg", "imageio-ffmpeg")],
)
def test_a_missing_library_is_said_before_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, suffix: str, missing: str, package: str
) -> None:
    there = libraries.find_spec
    monkeypatch.setattr(libraries, "find_spec", lambda name: None if name == missing else there(name))
    monkeypatch.setattr(nirbridge.runtime.Program, "run", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(InputError, match=rf"needs {package}, which is not installed. Run: pip install {package}"):
        nirbridge.plot(film_graph(), frames(), path=tmp_path / f"p{suffix}")


def test_a_machine_without_ffmpeg_gets_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio_ffmpeg")

    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio, "get_ffmpeg_exe", none)
    with pytest.raises(InputError, match=r"has no ffmpeg for this machine. Name one in IMAGEIO_FFMPEG_EXE"):
        nirbridge.plot(film_graph(), frames(), path=tmp_path / "p.mp4")


def test_names_of_files_and_nodes_are_no_formulas(tmp_path: Path) -> None:
    import nir

    from nirbridge.ir import build_graph

    name = r"$\frac{a}{$_^,b:v"
    neuron = nir.IF(np.ones(3), np.ones(3), np.zeros(3))
    nodes = {"$in": nir.Input(np.array([3])), name: neuron, "out$": nir.Output(None)}
    graph = build_graph(nodes, [("$in", name), (name, "out$")])
    nirbridge.write(tmp_path / "$x^{$.nir", graph)
    np.save(tmp_path / "x.npy", np.ones((5, 1, 3)))
    result = plot(tmp_path / "$x^{$.nir", "-i", tmp_path / "x.npy", "-o", tmp_path / "$p$.png", "--record", name)
    assert result.exit_code == 0, result.output
    found = nirbridge.plot(graph, np.ones((5, 1, 3)), [name, f"{name}:v"], title="$x^{$")
    titles = [axis.get_title(loc="left") for axis in found.figure.axes if axis.axison]
    assert titles[0] == r"\$\frac{a}{\$_^,b:v (IF 3)"
    assert titles[1].startswith(r"\$\frac{a}{\$_^,b:v:v")


def test_no_texts_overlap() -> None:
    found = nirbridge.plot(levels_graph(), data(), ["n1", "n1:v", "n0", "n2"], title="model.nir")
    found.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for axis in found.figure.axes for text in _texts(axis)]
    overlapping = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert len(boxes) > 20
    assert overlapping == 0


def _texts(axis: Any) -> list[Any]:
    legend = axis.get_legend()
    keys = [] if legend is None else [legend.get_title(), *legend.get_texts()]
    titles = [axis.title, axis._left_title, axis.xaxis.label, axis.yaxis.label] if axis.axison else []
    return [text for text in [*keys, *titles] if text.get_text() and text.get_visible()]


def test_film_files_ask_for_even_sides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    whole = Film.picture
    monkeypatch.setattr(Film, "picture", lambda film, step: whole(film, step)[1:, 1:])
    film_files.save_mp4(a_film(2), tmp_path / "odd.mp4", 10, lambda steps: steps)
    assert (tmp_path / "odd.mp4").stat().st_size > 1000


def test_an_output_that_is_no_vector_has_no_scores() -> None:
    import nir

    graph = line(nir.Scale(np.ones((2, 4, 4))), shape=(2, 4, 4))
    found = nirbridge.plot(graph, frames())
    assert found.notes == ("output 'output' of shape 2x4x4 is no vector of classes, so it has no panel of scores",)
    assert [axis.axison for axis in found.figure.axes] == [True, False]
