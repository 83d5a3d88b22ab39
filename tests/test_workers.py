"""Worker processes end with the process that started them, also where it is killed."""

import signal
import subprocess
import sys

import psutil
import pytest

from nirbridge.workers import worker_pool

PROGRAM = """
import time
from nirbridge.workers import worker_pool

pool = worker_pool(2)
works = [pool.submit(time.sleep, 600) for _ in range(2)]
while not all(work.running() for work in works):
    time.sleep(0.01)
print(*pool._processes, flush=True)
time.sleep(600)
"""


def test_work_is_done():
    with worker_pool(2) as pool:
        assert list(pool.map(abs, [-1, -2, -3])) == [1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_of_a_killed_process_end(how):
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        workers = [psutil.Process(int(each)) for each in program.stdout.readline().split()]
        assert len(workers) == 2
        assert all(each.is_running() for each in workers)
        program.send_signal(how)
        _, alive = psutil.wait_procs(workers, timeout=30)
        for each in alive:
            each.kill()
    assert not alive
