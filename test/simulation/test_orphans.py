"""Processes of a pool whose owner was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

OWNER = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from smoothvla_ros.simulation.orphans import end_with_parent
if __name__ == '__main__':
    pool = ProcessPoolExecutor(2, multiprocessing.get_context('spawn'), end_with_parent)
    pids = {pool.submit(os.getpid).result() for _ in range(2)}
    print(*pids, flush=True)
    time.sleep(600)
"""


def test_a_killed_owner_leaves_no_process_behind(tmp_path):
    """SIGKILL of the owner ends the pool's processes, which wait for work at that moment."""
    script = tmp_path / 'owner.py'
    script.write_text(OWNER)
    owner = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert pids
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20.0
    while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has collected yet does not."""
    try:
        with open(f'/proc/{pid}/stat') as stat:
            return stat.read().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False
