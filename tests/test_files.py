"""Output files: whole or not at all, on a full disk, through links and pipes, and after a kill."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.arrays import write_arrays
from nirbridge.errors import FileError
from nirbridge.files import is_stdout, is_stream, require_target, whole_file, write_whole
from nirbridge.ir import build_graph
from nirbridge.nir_data import write_nir_data
from nirbridge.runtime import make_plan
from nirbridge_events.writers import write_es
from training.checkpoints import Checkpoint, save_checkpoint

LIMIT = 64 * 1024
BIG = np.random.default_rng(0).normal(size=(256, 256))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _graph(weight: np.ndarray) -> nir.NIRGraph:
    sizes = weight.shape
    nodes = {"input": nir.Input(np.array([sizes[1]])), "fc": nir.Linear(weight), "output": nir.Output(sizes[:1])}
    return build_graph(nodes, [("input", "fc"), ("fc", "output")])


def _picture(path: Path) -> None:
    import matplotlib.pyplot as plt

    figure = plt.figure()
    figure.add_subplot().imshow(BIG)
    with whole_file(path) as file:
        figure.savefig(file, format="png")
    plt.close(figure)


def _film(path: Path) -> None:
    from PIL import Image

    image = Image.fromarray((BIG * 50).astype(np.uint8))
    with whole_file(path) as file:
        image.save(file, format="GIF", save_all=True, append_images=[image] * 3)


def _npy(path: Path) -> None:
    with whole_file(path) as file:
        np.save(file, BIG)


def _events(path: Path) -> None:
    count = 30_000
    events = np.zeros(count, dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    events["t"] = np.arange(count)
    write_es(path, events, (8, 8))


WRITERS: dict[str, Callable[[Path], None]] = {
    "g.nir": lambda path: nirbridge.write(path, _graph(BIG)),
    "x.nird": lambda path: write_nir_data(path, {"fc": BIG[None]}, make_plan(_graph(BIG))),
    "x.npz": lambda path: write_arrays(path, {"output": BIG}),
    "x.npy": _npy,
    "x.png": _picture,
    "x.gif": _film,
    "x.es": _events,
    "x.pt": lambda path: save_checkpoint(path, Checkpoint({}, "s", 0, {"w": torch.from_numpy(BIG)}, {}, {})),
    "x.svg": lambda path: write_whole(path, "x" * 2 * LIMIT),
}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process grows beyond LIMIT; what would, fails as on a full disk."""
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, kept[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, kept)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_the_old_file(name: str, tmp_path: Path, small_files: None) -> None:
    path = tmp_path / name
    path.write_text("old")
    with pytest.raises(FileError, match=rf"file '.*{name}': cannot be written \(File too large\)\. Choose another"):
        WRITERS[name](path)
    assert path.read_text() == "old"
    assert _names(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_writes_there_where_there_is_room(name: str, tmp_path: Path) -> None:
    WRITERS[name](tmp_path / name)
    assert _names(tmp_path) == [name]
    assert (tmp_path / name).stat().st_size > LIMIT


def test_names_of_255_bytes(tmp_path: Path) -> None:
    name = "ä" * 125 + "x.nir"
    nirbridge.write(tmp_path / name, _graph(np.eye(2)))
    assert _names(tmp_path) == [name]
    with pytest.raises(FileError, match=r"cannot be written \(File name too long\)"):
        write_whole(tmp_path / ("x" * 256), "")


@pytest.mark.parametrize(("name", "found"), [("missing/x", "does not exist"), (".", "is a folder"), ("a\0b", "NUL")])
def test_what_cannot_be_a_file(name: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=found):
        require_target(tmp_path / name)


def test_errors_of_the_block_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "x"):
        (tmp_path / "another").read_bytes()
    assert _names(tmp_path) == []


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real", tmp_path / "link"
    link.symlink_to("there/real")
    for text in ("first", "second"):
        write_whole(link, text)
        assert link.is_symlink()
        assert real.read_text() == text
    assert _names(tmp_path) == ["link", "there"]


def test_modes_stay(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    write_whole(secret, "new")
    assert secret.stat().st_mode & 0o777 == 0o600


def test_fifos_are_written_through(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.npz"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_arrays(fifo, {"x": BIG})
    reader.join()
    assert fifo.is_fifo()
    assert np.array_equal(np.load(io.BytesIO(got[0]))["x"], BIG)


def test_a_full_device_is_one_line() -> None:
    with pytest.raises(FileError, match=r"'/dev/full': cannot be written \(No space left on device\)"):
        write_whole("/dev/full", "x")


def test_open_files_are_written_where_they_stand(tmp_path: Path) -> None:
    """As in 'command >> log', whose file must be neither cut nor replaced."""
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.write(b"before ")
        file.flush()
        write_whole(f"/dev/fd/{file.fileno()}", "new")
        file.write(b" after")
    assert log.read_text() == "before new after"


def test_what_is_a_stream(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [is_stream(path) for path in (tmp_path, tmp_path / "file", tmp_path / "new")] == [False] * 3
    assert is_stream("/dev/null")
    assert is_stream("/dev/stdout")
    assert is_stdout("/dev/stdout")
    assert is_stdout("/dev/fd/1")
    assert not is_stdout("/dev/stderr")
    assert not is_stdout(tmp_path)


_WRITES = """
import sys, time
from nirbridge.files import whole_file
with whole_file(sys.argv[1]) as file:
    file.write(b"half")
    print("begun", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed_and_living_ones_keep_theirs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WRITES, str(tmp_path / "x")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
        assert len(_names(tmp_path)) == 3
        for process in processes[1:]:
            process.kill()
            process.wait()
        write_whole(tmp_path / "y", "whole")
        assert len(_names(tmp_path)) == 2
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    write_whole(tmp_path / "y", "again")
    assert _names(tmp_path) == ["y"]


def test_many_writers_of_one_folder_do_not_take_each_other_for_dead(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: write_whole(tmp_path / f"{k % 3}", f"{k}\n" * 100), range(1600)))
    assert _names(tmp_path) == ["0", "1", "2"]
    for name in _names(tmp_path):
        assert len(set((tmp_path / name).read_text().splitlines())) == 1
