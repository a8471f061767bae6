"""Processes of nodes and jobs that are told more than once to end."""

from __future__ import annotations

import subprocess
import sys

import pytest

BOTH_AT_ONCE = """
import signal, sys, threading

def both_at_once():
    '''What a terminal and a launch file send, before either is handled.'''
    signals = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    for number in signals:
        signal.pthread_kill(threading.main_thread().ident, number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
"""

NODE = """
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.running import run_node

class Told(AutostartNode):
    def activate(self):
        both_at_once()

sys.exit(run_node(lambda: Told('told')))
"""

JOB = """
from dataclasses import dataclass
from smoothvla_ros.configuration import setting
from smoothvla_ros.nodes.jobs.job import run_job

@dataclass(frozen=True)
class Settings:
    robots: int = setting(1, 'Robots')

def work(node, config, source):
    try:
        both_at_once()
    finally:
        for _ in range(1000):
            pass
        print('tidied up')

sys.exit(run_job('told', Settings, work))
"""


def ran(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    command = [sys.executable, '-c', script]
    return subprocess.run(command, capture_output=True, text=True, timeout=100.0, check=False)


@pytest.mark.parametrize(
    ('script', 'status', 'said'), [(NODE, 0, ''), (JOB, 130, 'tidied up\n')], ids=['node', 'job']
)
def test_two_signals_at_once_end_a_process_without_a_word(script, status, said):
    """Both are pending when the first is handled; Python tells of one that is ignored by then."""
    ended = ran(BOTH_AT_ONCE + script)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, said, '')


SLOW_START = """
import os, signal, sys
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.running import run_node

class Slow(AutostartNode):
    def configure(self):
        os.kill(os.getpid(), signal.{signal})
        print('loaded')

    def stop(self):
        print('stopped')

sys.exit(run_node(lambda: Slow('slow')))
"""


@pytest.mark.parametrize('signal', ['SIGINT', 'SIGTERM'])
def test_signal_ends_a_start(signal):
    """A node that is told to end does not load its model first."""
    ended = ran(SLOW_START.format(signal=signal))
    assert (ended.returncode, set(ended.stdout.split()), ended.stderr) == (0, {'stopped'}, '')
