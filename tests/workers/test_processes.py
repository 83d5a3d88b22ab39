"""Processes of our own: order, laziness, what is shared, lost workers, errors and every kind of end."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nirbridge.errors import ExecutionError, InputError
from nirbridge.workers import Crew, crew
from tests.workers import works
from tests.workers.works import environment


@pytest.fixture(scope="module")
def two() -> Iterator[Crew]:
    """Of which the tests may leave nothing broken behind."""
    with crew(2) as workers:
        yield workers


def wait_for(what: str, folder: Path, count: int) -> list[int]:
    for _ in range(6000):
        if len(found := works.notes(folder, what)) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} was not noted {count} times")


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_have_the_order_of_the_pieces(jobs: int) -> None:
    with crew(jobs) as workers:
        assert list(workers.map(works.later_first, range(9))) == list(range(9))
        assert list(workers.map(works.square, [])) == []


def test_results_as_they_come(two: Crew, tmp_path: Path) -> None:
    results = two.map(works.zero_waits, range(2), tmp_path / "go", ordered=False)
    assert next(results) == 1
    (tmp_path / "go").touch()
    assert list(results) == [0]
    assert sorted(two.map(works.square, range(9), ordered=False)) == [n * n for n in range(9)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_pieces_are_taken_when_they_are_needed(jobs: int) -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    with crew(jobs) as workers:
        assert list(itertools.islice(workers.map(works.square, pieces()), 30)) == [n * n for n in range(30)]
    assert 30 <= len(taken) <= 30 + 2 * jobs


def test_what_is_shared_goes_to_each_worker_once(tmp_path: Path) -> None:
    folders = tmp_path / "first", tmp_path / "second"
    with crew(2) as workers:
        for folder in folders:
            folder.mkdir()
            list(workers.map(works.counted_by_two, range(10), works.Counted(folder)))
    first, second = (set(works.notes(folder, "worked")) for folder in folders)
    assert first == second, "processes stay for the next work"
    for folder in folders:
        assert sorted(works.notes(folder, "unpickled")) == sorted(first)


def test_a_killed_worker_changes_nothing(two: Crew, tmp_path: Path) -> None:
    with crew() as alone:
        wanted = list(alone.map(works.square, range(12)))
    marker = tmp_path / "killed"
    assert list(two.map(works.kill_once, range(12), marker)) == [(n + 1) / 7 for n in range(12)]
    assert marker.exists()
    assert list(two.map(works.square, range(12))) == wanted


def test_a_piece_that_kills_is_named(two: Crew) -> None:
    results = two.map(works.kill_always, range(6))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ExecutionError, match=r"piece 2 \(2\): lost its worker 3 times.*killed by signal 9"):
        next(results)
    assert list(two.map(works.square, range(3))) == [0, 1, 4]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_comes_in_its_place_and_the_crew_goes_on(jobs: int) -> None:
    with crew(jobs) as workers:
        results = workers.map(works.refuse, itertools.count())
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ValueError, match="three is refused") as caught:
            next(results)
        assert jobs == 1 or "works.py" in str(caught.value.__cause__), "the worker's own trace"
        assert list(workers.map(works.square, range(3))) == [0, 1, 4]


def test_an_exception_that_does_not_travel_is_told(two: Crew) -> None:
    with pytest.raises(ExecutionError, match=r"failed with _Strange \(strange 00\)"):
        list(two.map(works.fail_strangely, [0]))


def test_warnings_of_workers_are_given_here() -> None:
    with crew(2) as workers, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        assert list(workers.map(works.warn, range(6))) == list(range(6))
    assert [str(each.message) for each in said] == ["piece 0 is odd", "piece 1 is odd"]
    assert said[0].filename == works.__file__


def test_workers_have_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    with crew(2) as workers:
        assert list(workers.map(works.threads, [0])) == [["1"] * 4]
    assert os.environ["MKL_NUM_THREADS"] == "7"
    assert "NUMBA_NUM_THREADS" not in os.environ


def test_an_early_end_ends_busy_workers(tmp_path: Path) -> None:
    with crew(2) as workers:
        results = workers.map(works.sleep, range(9), tmp_path, ordered=False)
        with pytest.raises(KeyboardInterrupt):
            _interrupted(results, tmp_path)
        busy = works.notes(tmp_path, "slept")
        assert len(busy) == 2, "no further piece has begun"
        assert not any(map(psutil.pid_exists, busy))
        assert list(workers.map(works.square, range(3))) == [0, 1, 4]


def _interrupted(results: Iterator[int], folder: Path) -> None:
    """Ctrl-C while the first result is waited for."""
    import threading

    def interrupt() -> None:
        wait_for("slept", folder, 2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    next(results)


def test_no_process_stays() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with crew(2) as workers:
        list(workers.map(works.square, range(4)))
        started = {child.pid for child in psutil.Process().children()} - before
        assert started
    ours = [child for child in psutil.Process().children() if child.pid not in before]
    assert all("resource_tracker" in " ".join(child.cmdline()) for child in ours)


PROGRAM = """
import sys
from pathlib import Path
from nirbridge.workers import crew
from tests.workers.works import sleep

if __name__ == "__main__":
    with crew(2) as workers:
        list(workers.map(sleep, range(9), Path(sys.argv[1])))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_a_program_however_it_ends(how: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(tmp_path)]
    with subprocess.Popen(
        command, env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        workers = [psutil.Process(pid) for pid in wait_for("slept", tmp_path, 2)]
        if how == signal.SIGINT:
            os.killpg(running.pid, how)  # as a terminal does
        else:
            running.send_signal(how)
        _, alive = psutil.wait_procs(workers, timeout=60)
        for each in alive:
            each.kill()
        said = running.stderr.read() if running.stderr else ""
    assert not alive
    if how == signal.SIGINT:
        assert said.count("Traceback") == 1, "the program's own; workers say nothing"
        assert said.rstrip().endswith("KeyboardInterrupt")


def test_a_program_without_a_guard_is_told_so(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from nirbridge.workers import crew\nfrom tests.workers.works import square\n"
        "with crew(2) as workers:\n    list(workers.map(square, range(4)))\n"
    )
    done = subprocess.run([sys.executable, str(program)], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        "ExecutionError: worker process: ended while it started. Put what starts the work under "
        "if __name__ == '__main__':, or use one job."
    )


@pytest.mark.parametrize(
    ("jobs", "cluster", "found"),
    [
        (0, None, "0 processes do no work"),
        (1, "here", "is neither 'local' nor the address"),
        (1, "scheduler:8786", "is neither 'local' nor the address"),
    ],
)
def test_what_is_no_crew_is_refused(jobs: int, cluster: str | None, found: str) -> None:
    with pytest.raises(InputError, match=found):
        crew(jobs, cluster)
