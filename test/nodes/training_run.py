"""`smoothvla launch train.launch.py` as a user runs it: real processes, watched from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from waiting import wait_until

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 300.0

# The evaluation of one scene, one iteration that learns something, the evaluation again.
CONFIG = """
/**:
  ros__parameters: {robots: 2, render_profile: fast, deterministic: true}
/**/grpo_trainer:
  ros__parameters:
    suite: libero_spatial
    tasks: [0]
    iterations: 1
    groups: 1
    group_size: 4
    refill_groups: 1
    temperature: 1.0
    evaluation_episodes: 1
    video: false
"""


class TrainingRun:
    """A launch in a session of its own, so that whatever it starts is found, orphans too."""

    def __init__(self, folder: Path, *words: str) -> None:
        """Start, or go on with, the job whose output is below `folder`.  words: more arguments."""
        self.output = folder / 'out'
        config = folder / 'train.yaml'
        config.write_text(CONFIG)
        self._log = folder / f'log_{time.monotonic_ns()}'
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path])}
        with self._log.open('wb') as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, '-m', 'smoothvla_ros.cli', 'launch', 'train.launch.py'),
                    *(f'config:={config}', f'output:={self.output}', *words),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """Everything that was printed so far."""
        return self._log.read_text(errors='replace')

    def pid_of(self, name: str) -> int:
        """Return the process of a node, of the launch itself, or of a simulation worker."""
        if name == 'launch':
            return self.process.pid
        if name == 'worker':
            bridge = self.pid_of('libero_bridge')
            children = Path(f'/proc/{bridge}/task/{bridge}/children').read_text().split()
            return next(int(pid) for pid in children if 'spawn_main' in _command(int(pid)))
        return int(re.search(rf'\[{name}\] started, pid (\d+)', self.text)[1])

    def alive(self) -> dict[int, str]:
        """Return the command of every process of the session that has not ended."""
        found = {}
        for path in Path('/proc').glob('[0-9]*/stat'):
            try:
                state, _, _, session = path.read_text().rpartition(')')[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid and state != 'Z':
                found[int(path.parent.name)] = _command(int(path.parent.name))
        return found

    def wait_for(self, condition: Callable[[], object], timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait for a moment of the run; fails with its output where it ends before."""

        def turn() -> None:
            assert self.process.poll() is None, self.text
            time.sleep(0.001)

        wait_until(condition, timeout_s, turn, lambda: self.text)

    def seconds_to_end(self, timeout_s: float) -> float:
        """Wait until no process is left and return how long that took; kill what is left then."""
        started = time.monotonic()
        while self.process.poll() is None or self.alive():
            if time.monotonic() - started > timeout_s:
                break
            time.sleep(0.01)
        self.sweep()
        return time.monotonic() - started

    def sweep(self) -> None:
        """Kill everything that is left."""
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def _command(pid: int) -> str:
    try:
        return Path(f'/proc/{pid}/cmdline').read_text(errors='replace').replace('\0', ' ')
    except OSError:
        return ''
