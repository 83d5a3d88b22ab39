"""The same crew on Dask: an embedded cluster, one that is there, lost and late workers, versions."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from nirbridge import __version__
from nirbridge.errors import ExecutionError, InputError
from nirbridge.workers import Crew, crew
from nirbridge.workers.messages import opened, packed
from tests.workers import works
from tests.workers.works import environment

pytest.importorskip("distributed")

import dask.config
import distributed

from nirbridge.workers import dask_cluster, dask_crew, dask_side, dask_versions


@pytest.fixture(scope="module")
def local() -> Iterator[Crew]:
    """Each process that is lost is seen to be away, as by chance one is that is lost again or slow to start."""
    given_up = {"distributed.deploy.lost-worker-timeout": "10ms"}
    with dask.config.set(given_up), crew(2, "local") as workers:
        yield workers


@pytest.fixture(scope="module")
def address(local: Crew) -> str:
    """Of a cluster that is there, as far as the tests that take it know."""
    return local._client.scheduler.address


def test_results_are_those_of_one_process_in_order(local: Crew) -> None:
    assert local.size == 2
    assert local.remarks == ("a Dask cluster of 2 processes of one thread each",)
    assert list(local.map(works.later_first, range(8))) == list(range(8))
    assert list(itertools.islice(local.map(works.square, itertools.count()), 5)) == [0, 1, 4, 9, 16]
    assert list(local.map(works.threads, [0])) == [["1"] * 4]


def test_an_early_end_ends_busy_workers(local: Crew, tmp_path: Path) -> None:
    results = local.map(works.sleep_but_for_zero, itertools.count(), tmp_path)
    assert next(results) == 0
    while not (busy := works.notes(tmp_path, "slept")):
        time.sleep(0.01)
    results.close()
    assert list(local.map(works.square, range(3))) == [0, 1, 4]
    end = time.monotonic() + 60
    while any(map(psutil.pid_exists, busy)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_results_as_they_come(local: Crew, tmp_path: Path) -> None:
    results = local.map(works.zero_waits, range(2), tmp_path / "go", ordered=False)
    assert next(results) == 1
    (tmp_path / "go").touch()
    assert list(results) == [0]


def test_a_killed_worker_changes_nothing(local: Crew, tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    assert list(local.map(works.kill_once, range(12), marker)) == [(n + 1) / 7 for n in range(12)]
    assert marker.exists()


def test_a_worker_that_has_ended_is_not_waited_for(local: Crew) -> None:
    """It may end just when its answer is fetched, before the scheduler knows; then this is what happens."""
    begin = time.monotonic()
    with pytest.raises(OSError, match="Timed out trying to connect"):
        local._cluster.sync(distributed.comm.connect, "tcp://127.0.0.1:9")
    assert time.monotonic() - begin < 20, "Dask itself would try for 30 s"


def test_a_piece_that_kills_is_named(local: Crew) -> None:
    results = local.map(works.kill_always, range(4))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ExecutionError, match=r"piece 2 \(2\): lost its worker 3 times"):
        next(results)


def test_an_exception_is_raised_and_the_crew_goes_on(local: Crew) -> None:
    results = local.map(works.refuse, range(4))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three is refused"):
        next(results)
    assert list(local.map(works.square, range(3))) == [0, 1, 4]


def test_what_is_shared_is_there_once_also_on_a_worker_that_comes_later(
    local: Crew, address: str, tmp_path: Path
) -> None:
    local._client.wait_for_workers(2)  # lost ones have come again
    with crew(4, cluster=address) as workers:
        assert workers.remarks == (
            f"cluster '{address}': 2 worker threads now",
            "4 jobs are not used, a cluster has its own workers",
        )
        results = workers.map(works.counted, itertools.count(), works.Counted(tmp_path))
        next(results)
        local._client.cluster.scale(3)
        for _ in results:
            if len(set(works.notes(tmp_path, "worked"))) == 3:
                break
        results.close()
        there = works.notes(tmp_path, "unpickled")
        assert len(there) == len(set(there)) == 3
        assert set(workers._client.run(_kept).values()) == {0}, "nothing is left there"
    local._client.cluster.scale(2)
    while len(local._client.scheduler_info(n_workers=-1)["workers"]) > 2:
        time.sleep(0.01)


def _kept() -> int:
    return len(dask_side._KEPT)


def test_each_thread_of_a_worker_has_a_copy_of_what_is_shared(tmp_path: Path) -> None:
    """Which the worker that a scheduler would start with threads runs as this one does."""
    plugin = dask_side.Shared("some", packed((works.counted, works.Counted(tmp_path))))
    plugin.setup(None)
    with ThreadPoolExecutor(2) as threads:
        met = threading.Barrier(2)

        def both_at_once(piece: int) -> list[int]:
            met.wait(60)
            return [opened(dask_side.do_piece("some", __version__, packed(piece))) for _ in range(3)]

        assert list(threads.map(both_at_once, [0, 1])) == [[0] * 3, [1] * 3]
    plugin.teardown(None)
    assert len(works.notes(tmp_path, "worked")) == 6
    assert len(works.notes(tmp_path, "unpickled")) == 2
    assert _kept() == 0


def test_another_version_of_nirbridge_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_versions, "__version__", "0.0.9")
    found = r"cluster 'tcp://.*': worker tcp://.* has nirbridge .*, here is 0\.0\.9"
    with pytest.raises(ExecutionError, match=found), crew(cluster=address):
        pass


def test_a_later_worker_of_another_version_refuses_work(local: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_crew, "__version__", "0.0.9")
    with pytest.raises(ExecutionError, match=r"a worker has nirbridge .*, version 0\.0\.9 asks"):
        list(local.map(works.square, [1]))


def test_other_libraries_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    here = dask_versions.versions()
    monkeypatch.setattr(dask_versions, "versions", lambda: here | {"numpy": "0.9"})
    client = type("Client", (), {"run": staticmethod(lambda function, on_error: {"a": here, "b": here})})
    assert dask_versions.same_versions("cluster", client) == (
        f"cluster: workers have numpy {here['numpy']}, here 0.9; last bits may differ",
    )
    client.run = staticmethod(lambda function, on_error: {"a": ModuleNotFoundError("no nirbridge")})
    with pytest.raises(ExecutionError, match="worker a cannot load nirbridge"):
        dask_versions.same_versions("cluster", client)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "SCHEDULER_SECONDS", 1)
    begin = time.monotonic()
    with pytest.raises(ExecutionError, match="cluster 'tcp://127.0.0.1:9': no Dask scheduler answers"):
        crew(cluster="tcp://127.0.0.1:9").__enter__()
    assert time.monotonic() - begin < 25, "Dask itself would wait 30 s"


SCHEDULER = """
import logging, signal
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL) as cluster:
        print(cluster.scheduler_address, flush=True)
        signal.pause()
"""


def test_a_scheduler_that_goes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "SCHEDULER_SECONDS", 3)
    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    command = [sys.executable, str(tmp_path / "scheduler.py")]
    with (
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as there,
        pytest.raises(ExecutionError, match="the connection to its scheduler was lost"),
        crew(cluster=str(there.stdout and there.stdout.readline()).strip()) as workers,
    ):
        list(workers.map(works.square, _pieces_until_killed(there)))


def _pieces_until_killed(there: subprocess.Popen[str]) -> Iterator[int]:
    yield from range(10)
    there.kill()
    yield from range(10)


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "WORKERS_SECONDS", 0.2)
    with (
        distributed.LocalCluster(
            n_workers=0, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
        ) as cluster,
        pytest.raises(ExecutionError, match="it has no workers, 0.2 s after"),
    ):
        crew(cluster=cluster.scheduler_address).__enter__()


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nirbridge.workers.dask_cluster", None)
    with pytest.raises(InputError, match=r"Run: pip install 'distributed>=2024\.1'"):
        crew(2, "local")


PROGRAM = """
import logging, sys
from pathlib import Path
from distributed.deploy.cluster import Cluster
from nirbridge.workers import crew
from tests.workers.works import kill_once, sleep

close = Cluster._close

async def close_with_a_word(cluster):  # a scheduler says it whose connections have not all ended
    logging.getLogger("distributed.batched").critical("Traceback")
    await close(cluster)

Cluster._close = close_with_a_word

if __name__ == "__main__":
    with crew(2, "local") as workers:
        print(sum(workers.map(kill_once, range(9), Path(sys.argv[1]) / "killed")))
        list(workers.map(sleep, range(9), Path(sys.argv[1])))
"""


def test_ctrl_c_leaves_no_process_no_file_and_no_chatter(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path)],
        env=environment() | {"TMPDIR": str(tmp_path / "temporary")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        while len(works.notes(tmp_path, "slept")) < 2:
            time.sleep(0.05)
        children = psutil.Process(running.pid).children(recursive=True)
        os.killpg(running.pid, 2)  # as a terminal does
        out, err = running.communicate(timeout=120)
        _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive
    assert float(out) == pytest.approx(45 / 7)
    assert err.count("Traceback") == 1, err
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert not list((tmp_path / "temporary").iterdir())


ENDING = """
import time
from nirbridge.errors import ExecutionError
from nirbridge.workers import crew
from tests.workers.works import kill_always

if __name__ == "__main__":
    for seconds in (0.25, 0.3, 0.35):
        with crew(1, "local") as workers:
            try:
                list(workers.map(kill_always, [2]))
            except ExecutionError as error:
                print(error)
            time.sleep(seconds)
"""


def test_an_end_while_a_process_starts_is_silent(tmp_path: Path) -> None:
    """As one does after a loss, here some 0.3 s later; what it says of its end would go to the terminal."""
    (tmp_path / "program.py").write_text(ENDING)
    command = [sys.executable, str(tmp_path / "program.py")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("lost its worker 3 times") == 3


def test_no_thread_waits(local: Crew) -> None:
    """Dask's own threads that stay are daemons, which end with the process."""
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
