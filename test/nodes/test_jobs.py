"""A job over the graph: what becomes of an error in the thread that spins its node."""

from __future__ import annotations

import subprocess
import sys

JOB = """
import sys
from dataclasses import dataclass

from smoothvla_ros.nodes.jobs.job import run_job


@dataclass(frozen=True)
class Settings:
    robots: int = 1


def work(node, config, source):
    def fail():
        raise RuntimeError('the executor broke')

    node.create_timer(0.01, fail)
    with source._changed:
        assert source._changed.wait_for(lambda: source._error is not None, 20.0)


sys.exit(run_job('job', Settings, work))
"""


def test_an_error_beside_the_work_is_not_a_success():
    """It came after the last rollout, where nobody waits for one: no status 0, and it is named."""
    result = subprocess.run(
        [sys.executable, '-c', JOB], capture_output=True, text=True, timeout=100
    )
    assert result.returncode not in (0, 2), result.stderr
    assert 'the executor broke' in result.stderr
