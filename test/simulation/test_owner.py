"""Spawned processes and the death of their owner."""

from __future__ import annotations

import multiprocessing
import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smoothvla_ros.simulation.workers.owner import end_with_owner


def compute(announce) -> None:
    """What a busy worker does: say that it is there, and look at no pipe for minutes."""
    end_with_owner()
    announce(f'{os.getpid()}\n')
    threading.Event().wait(600.0)


def announce(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


OWNER = """
import multiprocessing
from test_owner import announce, compute
process = multiprocessing.get_context('spawn').Process(target=compute, args=(announce,))
process.start()
process.join()
"""


def test_a_busy_process_ends_when_its_owner_is_killed():
    """kill -9 of the bridge leaves no worker behind, whatever the worker is doing."""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, '-c', OWNER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': paths},
    ) as owner:
        process = os.pidfd_open(int(owner.stdout.readline()))
        owner.kill()
        ended, _, _ = select.select([process], [], [], 10.0)
    os.close(process)
    assert ended


def test_only_a_spawned_process_has_an_owner():
    """Called by mistake in the owner itself it says so."""
    assert multiprocessing.parent_process() is None
    with pytest.raises(RuntimeError, match='has an owner'):
        end_with_owner()
